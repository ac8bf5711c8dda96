"""ONNX files without their weights: what every judgement of a graph reads.

On protobuf, not onnx-ir: onnx-ir drops sparse initializers, nameless ones and the second of one name, and does not
load tensors of an unknown type. The graph that is judged must be the one in the file.
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

# The one external file that all weights of a weightless graph share: they overlap at offset 0.
ZEROS = "zeros"

# Up to here an initializer keeps its values: providers and rules read shapes, axes, scales and scalars.
# A shape takes a few dozen bytes, the positions of a CLIP encoder 616.
KEPT_BYTES = 4096

# The newest operator set that onnxruntime-web 1.30 loads without being told to take unreleased ones.
NEWEST_OPSET = 26


# Bits of one tensor: a terabyte, which no graph has.
MOST_BITS = 8 << 40

_DISTRUST = "take a graph that you trust"


@dataclass(frozen=True)
class Shard:
    """A file of external data beside a model."""

    name: str  # relative to the model's folder, as the model says it
    bytes: int


@dataclass(frozen=True)
class Weightless:
    """A graph whose large initializers are `length` bytes of the file ZEROS, and where they really lie.

    largest: bytes of the largest initializer, thus of a ZEROS that serves all.
    """

    path: Path
    proto: onnx.ModelProto
    shards: tuple[Shard, ...]
    largest: int

    def file(self, shard: Shard) -> Path:
        """Where `shard` lies."""
        return (self.path.parent / shard.name).resolve()


def read_weightless(path: Path) -> Weightless:
    """Reads the graph at `path`; weights in external data stay on disk.

    Every node gets a name, so that verdicts can point at it. Raises RequestError for a missing file, one that
    is not ONNX, a shard that is missing, too short or outside of the graph's folder, and an operator set that the
    provider does not know.
    """
    proto = _load(path)
    try:
        return _weightless(path, proto)
    except LIBRARY_ERRORS as error:  # protobuf takes names that are no UTF-8, and says so where they are read
        raise unsound(path, str(error)) from error


def unsound(path: Path, why: str) -> RequestError:
    """That the graph at `path` breaks the format's rules: a line that says why."""
    return RequestError(f"{path} is no sound ONNX graph: {printable(why)}", "export it again")


def _weightless(path: Path, proto: onnx.ModelProto) -> Weightless:
    _refuse_newer_opsets(path, proto)
    shards: dict[str, Shard] = {}
    largest = 0
    for tensor in _tensors(proto.graph):
        if tensor.data_location == TensorProto.EXTERNAL:
            _inline_small(path, tensor, shards)
        largest = max(largest, _drop_values(path, tensor))
    for index, node in enumerate(proto.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    return Weightless(path, proto, tuple(shards.values()), largest)


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
    """Every tensor of `graph` and of the bodies inside it: initializers, sparse ones, and attributes."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors)
        for body in bodies(node):
            yield from _tensors(body)


def bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs inside of `node`: the branches of an If, the body of a Loop."""
    for attribute in node.attribute:
        yield from (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs)


def _inline_small(path: Path, tensor: TensorProto, shards: dict[str, Shard]) -> None:
    """Notes the tensor's shard, and turns its external data into bytes of the tensor where they are few."""
    name, offset = _place(path, tensor)
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
    except OSError:  # a name that is longer than any file's
        return False


def _place(path: Path, tensor: TensorProto) -> tuple[str, int]:
    """The file and the offset of a tensor's external data."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    name, offset = entries.get("location", ""), entries.get("offset", "0")
    if not name or not re.fullmatch(r"\d{1,15}", offset):
        wrong = f"{path}: tensor {printable(tensor.name)} lies at {printable(offset)} of {printable(name)!r}"
        raise RequestError(wrong, "export it again")
    return name, int(offset)


def _drop_values(path: Path, tensor: TensorProto) -> int:
    """Makes a large tensor the first bytes of ZEROS; returns how many, 0 for one that stays."""
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
    """How many bytes the values of `tensor` take, two 4-bit values to a byte; 0 for strings, which stay.

    Raises RequestError for a type or a shape that no tensor has.
    """
    if tensor.data_type in (TensorProto.STRING, TensorProto.UNDEFINED):
        return 0
    try:
        bits = math.prod(tensor.dims) * ir.DataType(tensor.data_type).bitwidth
    except (ValueError, TypeError) as error:
        wrong = f"{path}: tensor {printable(tensor.name)} has the type {tensor.data_type}, which ONNX has not"
        raise RequestError(wrong, "export it again") from error
    if min(tensor.dims, default=0) < 0 or bits > MOST_BITS:
        wrong = f"{path}: tensor {printable(tensor.name)} has the shape {printable(str(list(tensor.dims)))}"
        raise RequestError(wrong, "export it again")
    return int(bits + 7) // 8
