"""Read ONNX files without their weights. All checks of graphs start here.

This module works on protobuf, not onnx-ir, because a check must see the graph of the file. onnx-ir drops initializers
that are sparse, have no name or repeat a name, and does not load tensors of an unknown type.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError
from onnx import TensorProto

from turbo_webnn.models.errors import LIBRARY_ERRORS, RequestError
from turbo_webnn.models.printable import printable

# The external file that all weights of a weightless graph share. They overlap at offset 0.
ZEROS = "zeros"

# An initializer up to this size keeps its values, because providers and rules read shapes, axes, scales and scalars.
# A shape takes a few dozen bytes, the positions of a CLIP encoder take 616.
KEPT_BYTES = 4096

# The newest operator set that onnxruntime-web 1.30 loads without the option for unreleased ones.
NEWEST_OPSET = 26


# The limit for the bits of one tensor: a terabyte, which no real graph has.
MAX_TENSOR_BITS = 8 << 40

_DISTRUST = "take a graph that you trust"


@dataclass(frozen=True)
class Shard:
    """A file of external data beside a model."""

    name: str  # the path in the model, relative to its folder
    bytes: int


@dataclass(frozen=True)
class WeightlessGraph:
    """A graph whose large initializers refer to the file ZEROS instead of their weights.

    Attributes:
        path: the path of the original file.
        proto: the graph with references to ZEROS.
        shards: the original files of external data.
        largest: the size of the largest initializer in bytes, and so the required size of ZEROS.
    """

    path: Path
    proto: onnx.ModelProto
    shards: tuple[Shard, ...]
    largest: int

    def file(self, shard: Shard) -> Path:
        """The path of `shard`."""
        return (self.path.parent / shard.name).resolve()


def read_weightless(path: Path) -> WeightlessGraph:
    """Read the graph at `path`, without weights in external data.

    Every node gets a name, so that verdicts can refer to it.

    Raises:
        RequestError: where the file is missing or not ONNX, a shard is missing, too short or outside of the graph's
            folder, or the provider does not know the operator set.
    """
    proto = _load(path)
    try:
        return _remove_weights(path, proto)
    except LIBRARY_ERRORS as error:  # protobuf loads names that are not UTF-8, and raises only when they are read
        raise invalid_graph_error(path, str(error)) from error


def invalid_graph_error(path: Path, reason: str) -> RequestError:
    """Make the error for a graph at `path` that breaks the rules of ONNX."""
    return RequestError(f"{path} is no sound ONNX graph: {printable(reason)}", "export it again")


def _remove_weights(path: Path, proto: onnx.ModelProto) -> WeightlessGraph:
    _refuse_newer_opsets(path, proto)
    shards: dict[str, Shard] = {}
    largest = 0
    for tensor in _tensors(proto.graph):
        if tensor.data_location == TensorProto.EXTERNAL:
            _inline_small(path, tensor, shards)
        largest = max(largest, _drop_values(path, tensor))
    for index, node in enumerate(proto.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    return WeightlessGraph(path, proto, tuple(shards.values()), largest)


def _load(path: Path) -> onnx.ModelProto:
    try:
        proto = onnx.load(path, format="protobuf", load_external_data=False)
    except FileNotFoundError as error:
        raise RequestError(f"there is no {path}", "name an ONNX file or a bundle") from error
    except (DecodeError, IsADirectoryError) as error:
        raise RequestError(f"{path} is not an ONNX file", "give a model.onnx") from error
    if not proto.graph.node or not proto.opset_import:
        raise RequestError(f"{path} holds no ONNX graph", "give a model.onnx")
    return proto


def _refuse_newer_opsets(path: Path, proto: onnx.ModelProto) -> None:
    opset = max((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    if opset > NEWEST_OPSET:
        raise RequestError(
            f"{path} asks for operator set {opset}, the provider knows {NEWEST_OPSET}",
            f"export at {NEWEST_OPSET} or below",
        )


def _tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """Every tensor of `graph` and of its nodes' bodies: in initializers, sparse initializers and attributes."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors)
        for body in bodies(node):
            yield from _tensors(body)


def bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs in `node`: the branches of an If, the body of a Loop."""
    for attribute in node.attribute:
        yield from (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs)


def _inline_small(path: Path, tensor: TensorProto, shards: dict[str, Shard]) -> None:
    """Add the tensor's shard to `shards`, and move the data of a small tensor from it into the graph."""
    name, offset = _external_location(path, tensor)
    file = path.parent / name
    if name not in shards:
        if "\0" in name or not file.resolve().is_relative_to(path.parent.resolve()):
            raise RequestError(f"{path} reads {printable(name)}, which is outside of its folder", _DISTRUST)
        if not _is_file(file):
            wrong = f"{path} needs {path.parent / printable(name)}, which is missing"
            raise RequestError(wrong, "keep its external data beside it")
        shards[name] = Shard(name, file.stat().st_size)
    length = tensor_bytes(tensor, path)
    if shards[name].bytes < offset + length:
        raise RequestError(f"{file} ends before {tensor.name}", "it is cut short: copy or export it again")
    if length <= KEPT_BYTES:
        with file.open("rb") as stream:
            stream.seek(offset)
            tensor.raw_data = stream.read(length)
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is too long for a file
        return False


def _external_location(path: Path, tensor: TensorProto) -> tuple[str, int]:
    """The file and the offset of a tensor's external data."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    name, offset = entries.get("location", ""), entries.get("offset", "0")
    if not name or not re.fullmatch(r"\d{1,15}", offset):
        wrong = f"{path}: tensor {printable(tensor.name)} lies at {printable(offset)} of {printable(name)!r}"
        raise RequestError(wrong, "export it again")
    return name, int(offset)


def _drop_values(path: Path, tensor: TensorProto) -> int:
    """Replace the values of a large tensor with a reference to ZEROS.

    Returns:
        The size of the tensor in bytes; 0 for a small tensor, which stays as it is.
    """
    length = tensor_bytes(tensor, path)
    if length <= KEPT_BYTES:
        return 0
    for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
        tensor.ClearField(field)
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in {"location": ZEROS, "offset": "0", "length": str(length)}.items():
        tensor.external_data.add(key=key, value=value)
    return length


def tensor_bytes(tensor: TensorProto, path: Path | str = "the graph") -> int:
    """The size of the values of `tensor` in bytes, with two 4-bit values per byte; 0 for strings, which stay.

    Raises:
        RequestError: where the type or the shape is invalid.
    """
    if tensor.data_type in (TensorProto.STRING, TensorProto.UNDEFINED):
        return 0
    try:
        bits = math.prod(tensor.dims) * ir.DataType(tensor.data_type).bitwidth
    except (ValueError, TypeError) as error:
        wrong = f"{path}: tensor {printable(tensor.name)} has the type {tensor.data_type}, which ONNX has not"
        raise RequestError(wrong, "export it again") from error
    if min(tensor.dims, default=0) < 0 or bits > MAX_TENSOR_BITS:
        wrong = f"{path}: tensor {printable(tensor.name)} has the shape {printable(str(list(tensor.dims)))}"
        raise RequestError(wrong, "export it again")
    return int(bits + 7) // 8
