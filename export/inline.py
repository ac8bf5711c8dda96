"""A graph with its weights inside the .onnx file, which is written as they are made: none of them is held.

A ModelProto is a nest of fields, each with its length before it. Only the lengths of the weights are needed to write
what comes before them, and those are known. Numbers of the fields: github.com/onnx/onnx, onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import onnx
import onnx_ir as ir

from turbo_webnn.models.errors import RequestError

LARGEST_FILE = (1 << 31) - 1
"""What protobuf reads of one message, and little less than what a browser holds in one ArrayBuffer."""


class _Tensor(ir.TensorProtocol, Protocol):
    """What each tensor of onnx-ir is, though its protocol does not say so."""

    def tofile(self, file: BinaryIO) -> None: ...


_MODEL_GRAPH, _GRAPH_INITIALIZER, _TENSOR_RAW_DATA = 7, 5, 9


def save_inline(model: ir.Model, path: Path, held_bytes: int, progress: Callable[[float], None]) -> None:
    """Write `model` to `path`. Initializers of more than `held_bytes` are written one after another, last.

    Raises:
        RequestError: where the file would be too large for one message, or a weight cannot be written.
    """
    with _without(model.graph, held_bytes) as weights:
        whole = ir.to_proto(model)
        graph = whole.graph.SerializeToString(deterministic=True)
        whole.ClearField("graph")
        heads = [_head(weight) for weight in weights]
        length = len(graph) + sum(
            len(head) + _tensor(weight).nbytes for head, weight in zip(heads, weights, strict=True)
        )
        start = whole.SerializeToString(deterministic=True) + _tag(_MODEL_GRAPH, length)
        if len(start) + length > LARGEST_FILE:
            raise RequestError(
                f"{path.name} would have {len(start) + length} bytes, and this layout keeps all in one file of at "
                f"most {LARGEST_FILE}",
                "give a smaller --precision, or --layout webnn",
            )
        with path.open("wb") as file:
            file.write(start)
            file.write(graph)
            for done, (head, weight) in enumerate(zip(heads, weights, strict=True), 1):
                file.write(head)
                _tensor(weight).tofile(file)
                progress(done / len(weights))


@contextmanager
def _without(graph: ir.Graph, held_bytes: int) -> Iterator[list[ir.Value]]:
    """The graph's large initializers, which it does not have in the meantime."""
    weights = [value for value in graph.initializers.values() if _tensor(value).nbytes > held_bytes]
    for weight in weights:
        del graph.initializers[str(weight.name)]
    try:
        yield weights
    finally:
        for weight in weights:
            graph.initializers[str(weight.name)] = weight


def _head(weight: ir.Value) -> bytes:
    """What an initializer of a GraphProto begins with, up to its numbers."""
    tensor = _tensor(weight)
    proto = onnx.TensorProto(name=weight.name, data_type=tensor.dtype.value, dims=tensor.shape.numpy())
    described = bytes(proto.SerializeToString(deterministic=True)) + _tag(_TENSOR_RAW_DATA, tensor.nbytes)
    return _tag(_GRAPH_INITIALIZER, len(described) + tensor.nbytes) + described


def _tag(number: int, length: int) -> bytes:
    """The start of the field `number`, whose value takes `length` bytes."""
    return _varint(number << 3 | 2) + _varint(length)


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _tensor(value: ir.Value) -> _Tensor:
    assert value.const_value is not None
    return cast("_Tensor", value.const_value)
