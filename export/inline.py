"""Writes a graph with its weights inside the .onnx file, one weight at a time, so that few are in memory.

A ModelProto consists of nested fields. Each field starts with its length. So the bytes before the weights need only
the lengths of the weights, which are known. Field numbers: github.com/onnx/onnx, onnx/onnx.proto.
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
"""The most bytes that protobuf reads of one message; slightly less than a browser's largest ArrayBuffer."""


class _Tensor(ir.TensorProtocol, Protocol):
    """A tensor of onnx-ir. All of them have `tofile`, which onnx-ir's protocol does not state."""

    def tofile(self, file: BinaryIO) -> None: ...


_MODEL_GRAPH, _GRAPH_INITIALIZER, _TENSOR_RAW_DATA = 7, 5, 9


def save_inline(model: ir.Model, path: Path, small_bytes: int, progress: Callable[[float], None]) -> None:
    """Write `model` to `path`. Initializers of more than `small_bytes` come last, and are written one after another.

    Raises:
        RequestError: if the file would be too large for one message, or if a weight cannot be written.
    """
    with _large_initializers_removed(model.graph, small_bytes) as weights:
        model_proto = ir.to_proto(model)
        graph = model_proto.graph.SerializeToString(deterministic=True)
        model_proto.ClearField("graph")
        heads = [_head(weight) for weight in weights]
        length = len(graph) + sum(
            len(head) + _tensor(weight).nbytes for head, weight in zip(heads, weights, strict=True)
        )
        start = model_proto.SerializeToString(deterministic=True) + _tag(_MODEL_GRAPH, length)
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
def _large_initializers_removed(graph: ir.Graph, small_bytes: int) -> Iterator[list[ir.Value]]:
    """Remove the initializers of more than `small_bytes` from the graph during the block; yield them."""
    weights = [value for value in graph.initializers.values() if _tensor(value).nbytes > small_bytes]
    for weight in weights:
        del graph.initializers[str(weight.name)]
    try:
        yield weights
    finally:
        for weight in weights:
            graph.initializers[str(weight.name)] = weight


def _head(weight: ir.Value) -> bytes:
    """The bytes of an initializer in a GraphProto that come before its numbers."""
    tensor = _tensor(weight)
    proto = onnx.TensorProto(name=weight.name, data_type=tensor.dtype.value, dims=tensor.shape.numpy())
    tensor_head = bytes(proto.SerializeToString(deterministic=True)) + _tag(_TENSOR_RAW_DATA, tensor.nbytes)
    return _tag(_GRAPH_INITIALIZER, len(tensor_head) + tensor.nbytes) + tensor_head


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
