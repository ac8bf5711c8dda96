"""A graph as the rules see it: typed, shaped, weights unread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir

from export.webnn.weightless import Shard, read_weightless


@dataclass(frozen=True)
class Graph:
    """An ONNX graph without its weights.

    model: every value has the type and shape that the file states or that inference finds.
    shards: its files of external data.
    """

    path: Path
    model: ir.Model
    shards: tuple[Shard, ...]


def read_graph(path: Path) -> Graph:
    """Reads the graph at `path`. Raises RequestError as `read_weightless` does."""
    weightless = read_weightless(path)
    model = ir.from_proto(weightless.proto)
    if not all(_is_known(value) for node in model.graph for value in node.outputs):
        # Providers infer what a file leaves out, so a missing shape alone is no fault.
        inferred = onnx.shape_inference.infer_shapes(weightless.proto, data_prop=True)
        model = ir.from_proto(inferred)
    return Graph(path, model, weightless.shards)


def _is_known(value: ir.Value) -> bool:
    return not value.name or (value.shape is not None and value.dtype is not None)


def static_shape(value: ir.Value) -> tuple[int, ...] | None:
    """The shape of `value` where every dimension is a number, else None."""
    if value.shape is None or not value.shape.is_static():
        return None
    return tuple(int(dim) for dim in value.shape)  # type: ignore[arg-type]  # static dimensions are numbers


def constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    """The tensor of an initializer or of a Constant node, else None."""
    if value is None:
        return None
    return ir.convenience.get_const_tensor(value)
