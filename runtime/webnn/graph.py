"""The form of a graph that the rules check: with types and shapes, without weights."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.checker
import onnx.inliner
import onnx_ir as ir

from turbo_webnn.models.errors import LIBRARY_ERRORS
from turbo_webnn.runtime.webnn.weightless import Shard, bodies, invalid_graph_error, read_weightless


@dataclass(frozen=True)
class Graph:
    """An ONNX graph without its weights.

    Attributes:
        path: the path of the file.
        model: the graph. Its values have the types and shapes of the file, or those of shape inference.
        shards: the files of external data.
    """

    path: Path
    model: ir.Model
    shards: tuple[Shard, ...]


def read_graph(path: Path) -> Graph:
    """Read the graph at `path`.

    Raises:
        RequestError: where the graph breaks the rules of ONNX, and as for `read_weightless`.
    """
    weightless = read_weightless(path)
    try:
        _require_values(path, weightless.proto.graph, frozenset())
        return Graph(path, _typed_model(weightless.proto), weightless.shards)
    except _INVALID_ERRORS as error:
        raise invalid_graph_error(path, str(error)) from error


_INVALID_ERRORS = (*LIBRARY_ERRORS, onnx.shape_inference.InferenceError, onnx.checker.ValidationError)
"""The exceptions of onnx and onnx-ir on graphs that break the rules of ONNX."""


def _typed_model(proto: onnx.ModelProto) -> ir.Model:
    if proto.functions:  # onnxruntime inlines a model's own functions before it places nodes
        proto = onnx.inliner.inline_local_functions(proto)
    model = ir.from_proto(proto)
    if not all(_is_known(value) for node in model.graph for value in node.outputs):
        # Providers infer missing shapes, so a missing shape alone is no fault.
        model = ir.from_proto(onnx.shape_inference.infer_shapes(proto, data_prop=True))
    return model


def _require_values(path: Path, graph: onnx.GraphProto, outer: Set[str]) -> None:
    """Require that every value that the graph reads or outputs exists.

    Args:
        path: the file of the graph, for messages.
        graph: the graph to check.
        outer: the names of values of the outer graphs, where `graph` is the body of a node.
    """
    known = {*outer, *(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer)}
    known |= {tensor.values.name for tensor in graph.sparse_initializer}
    known |= {name for node in graph.node for name in node.output}
    reads = [(f"{node.op_type} {node.name}", name) for node in graph.node for name in node.input if name]
    for reader, name in [*reads, *(("its list of outputs", value.name) for value in graph.output)]:
        if name not in known:
            raise invalid_graph_error(path, f"{reader} reads {name}, which nothing gives")
    for node in graph.node:
        for body in bodies(node):
            _require_values(path, body, known)


def _is_known(value: ir.Value) -> bool:
    return not value.name or (value.shape is not None and value.dtype is not None)


def static_shape(value: ir.Value) -> tuple[int, ...] | None:
    """The shape of `value` where every dimension is a number, otherwise None."""
    if value.shape is None or not value.shape.is_static():
        return None
    return tuple(int(dim) for dim in value.shape)  # type: ignore[arg-type]  # static dimensions are numbers


def constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    """The tensor of an initializer or of a Constant node, otherwise None."""
    if value is None:
        return None
    return ir.convenience.get_const_tensor(value)
