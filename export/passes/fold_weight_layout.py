"""Replaces Transpose, Reshape, Unsqueeze, Squeeze and Flatten of a weight by another lazy view of the weight.

This works for weights of any size, because nothing is read. Left alone: a Transpose of a weight that was reshaped
before, and nodes that compute an output of the graph.
"""

from __future__ import annotations

import onnx_ir as ir

from turbo_webnn.export.passes.conditions import ensure
from turbo_webnn.export.passes.editing import add_initializer, bypass, is_weight, operand, shape_of, weight_of
from turbo_webnn.export.weights import LazyWeight

_RESHAPES = frozenset({"Reshape", "Unsqueeze", "Squeeze", "Flatten"})


class FoldWeightLayout(ir.passes.InPlacePass):
    """See the module."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fold nodes in the order of the graph, so that complete chains fold."""
        modified = False
        for node in model.graph:
            view = _folded_view(node)
            if view is not None:
                value = add_initializer(model.graph, f"{operand(node, 0).name}.{node.op_type.lower()}", view)
                bypass(node, value)
                modified = True
        return ir.passes.PassResult(model, modified)

    def ensures(self, model: ir.Model) -> None:
        """No node is left that a view of a weight can replace."""
        foldable = (node for node in model.graph if _folded_view(node) is not None)
        ensure(model, (f"{node.op_type} {node.name} reads a weight alone" for node in foldable))


def _folded_view(node: ir.Node) -> LazyWeight | None:
    """The view of a weight that can replace `node`, or None if there is none."""
    if not node.inputs or not is_weight(node.inputs[0]) or node.outputs[0].is_graph_output():
        return None
    shape = shape_of(node.outputs[0])
    weight = weight_of(operand(node, 0))
    if node.op_type == "Transpose":
        rank = len(weight.shape)
        return weight.permuted(node.attributes.get_ints("perm", list(reversed(range(rank)))))
    if node.op_type in _RESHAPES and shape is not None:
        return weight.reshaped(shape)
    return None
