"""Small moves that several passes make on an onnx-ir graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from turbo_webnn.export.weights import LazyWeight, lazy

SMALL = 1024
"""Numbers in the largest constant that a pass looks into."""


def shape_of(value: ir.Value | None) -> tuple[int, ...] | None:
    """The static shape of `value`, or None where a dimension is unknown."""
    if value is None or value.shape is None or not value.shape.is_static():
        return None
    return tuple(value.shape.numpy())


def constant_of(value: ir.Value | None) -> np.ndarray | None:
    """The numbers of a small constant, or None where `value` is computed, large, or a weight.

    A weight is no constant: what a graph looks like must not depend on a checkpoint's numbers.
    """
    tensor = ir.convenience.get_const_tensor(value) if value is not None else None
    if tensor is None or tensor.size > SMALL or isinstance(tensor, LazyWeight):
        return None
    return tensor.numpy()


def is_weight(value: ir.Value | None) -> bool:
    """Whether `value` is an initializer of a floating type."""
    return (
        value is not None
        and value.is_initializer()
        and value.const_value is not None
        and value.const_value.dtype.is_floating_point()
    )


def operand(node: ir.Node, index: int) -> ir.Value:
    """The input `index` of `node`, which must be there."""
    value = node.inputs[index]
    assert value is not None, f"{node.op_type} {node.name} lacks its input {index}"
    return value


def weight_of(value: ir.Value) -> LazyWeight:
    """The tensor of a value for which `is_weight` holds."""
    assert value.const_value is not None
    return lazy(value.const_value)


def sole_use(value: ir.Value) -> bool:
    """Whether exactly one node input reads `value`, and no graph output does."""
    return len(value.uses()) == 1 and not value.is_graph_output()


def add_initializer(graph: ir.Graph, name: str, tensor: ir.TensorProtocol) -> ir.Value:
    """Put `tensor` into `graph` under a free name that begins with `name`."""
    free, count = name, 0
    while free in graph.initializers:
        count += 1
        free = f"{name}_{count}"
    value = ir.Value(
        name=free, type=ir.TensorType(tensor.dtype), shape=ir.Shape(tensor.shape.numpy()), const_value=tensor
    )
    graph.initializers[free] = value
    return value


def ints(graph: ir.Graph, name: str, numbers: Sequence[int]) -> ir.Value:
    """An int64 vector in `graph`, as shape-like inputs ask for."""
    return add_initializer(graph, name, ir.tensor(np.array(numbers, np.int64)))


def bypass(node: ir.Node, value: ir.Value) -> bool:
    """Let everything that read `node`'s one output read `value`, and remove the node.

    onnx-ir's replace_nodes_and_values would give `value` the type and the name of what it takes over.

    False, and nothing is done, where the output is the graph's own and `value` cannot be it: a graph output must
    be some node's, and can bear one name.
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
    """Put the one-output `new` where the one-output `node` stood; the output keeps its name, type and shape."""
    graph = node.graph
    assert graph is not None
    new.metadata_props.update(node.metadata_props)
    ir.convenience.replace_nodes_and_values(graph, node, [node], [new], node.outputs, new.outputs)
