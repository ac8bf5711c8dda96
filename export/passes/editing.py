"""Small operations on an onnx-ir graph that several passes use."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from turbo_webnn.export.weights import LazyWeight, as_lazy_weight

SMALL = 1024
"""The most numbers of a constant that a pass reads."""


def shape_of(value: ir.Value | None) -> tuple[int, ...] | None:
    """The static shape of `value`, or None if a dimension is unknown."""
    if value is None or value.shape is None or not value.shape.is_static():
        return None
    return tuple(value.shape.numpy())


def constant_of(value: ir.Value | None) -> np.ndarray | None:
    """The numbers of a small constant, or None if `value` is computed, large, or a weight.

    A weight is not a constant here: the form of a graph must not depend on the numbers of a checkpoint.
    """
    tensor = ir.convenience.get_const_tensor(value) if value is not None else None
    if tensor is None or tensor.size > SMALL or isinstance(tensor, LazyWeight):
        return None
    return tensor.numpy()


def is_weight(value: ir.Value | None) -> bool:
    """Whether `value` is an initializer with a floating type."""
    return (
        value is not None
        and value.is_initializer()
        and value.const_value is not None
        and value.const_value.dtype.is_floating_point()
    )


def operand(node: ir.Node, index: int) -> ir.Value:
    """The input `index` of `node`. It must exist."""
    value = node.inputs[index]
    assert value is not None, f"{node.op_type} {node.name} lacks its input {index}"
    return value


def weight_of(value: ir.Value) -> LazyWeight:
    """The tensor of a value for which `is_weight` holds."""
    assert value.const_value is not None
    return as_lazy_weight(value.const_value)


def has_sole_use(value: ir.Value) -> bool:
    """Whether exactly one node input reads `value`, and no graph output does."""
    return len(value.uses()) == 1 and not value.is_graph_output()


def add_initializer(graph: ir.Graph, name: str, tensor: ir.TensorProtocol) -> ir.Value:
    """Add `tensor` to `graph` under an unused name that begins with `name`."""
    free, count = name, 0
    while free in graph.initializers:
        count += 1
        free = f"{name}_{count}"
    value = ir.Value(
        name=free, type=ir.TensorType(tensor.dtype), shape=ir.Shape(tensor.shape.numpy()), const_value=tensor
    )
    graph.initializers[free] = value
    return value


def add_ints(graph: ir.Graph, name: str, numbers: Sequence[int]) -> ir.Value:
    """Add an int64 vector to `graph`, for inputs that are shapes."""
    return add_initializer(graph, name, ir.tensor(np.array(numbers, np.int64)))


def bypass(node: ir.Node, value: ir.Value) -> bool:
    """Remove `node`, which has one output, and make the readers of the output read `value`.

    onnx-ir's replace_nodes_and_values would give `value` the type and the name of the output.

    Returns:
        Whether it was done. It is not done if the output is an output of the graph and `value` cannot replace it,
        because no node computes `value`, or because `value` is an output of the graph already.
    """
    output = node.outputs[0]
    graph = node.graph
    assert graph is not None
    if output.is_graph_output():
        if value.producer() is None or value.is_graph_output():
            return False
        name = output.name
        output.name, value.name = f"{name}_before", name
    ir.convenience.replace_all_uses_with(output, value, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    return True


def replace(node: ir.Node, new: ir.Node) -> None:
    """Replace `node` by `new`. Both have one output; it keeps its name, type and shape."""
    graph = node.graph
    assert graph is not None
    new.metadata_props.update(node.metadata_props)
    ir.convenience.replace_nodes_and_values(graph, node, [node], [new], node.outputs, new.outputs)
