"""Mul or Div by 1, Add or Sub of 0, Cast to the same type, and Dropout's leftovers go.

Left alone: a neutral constant whose shape would broadcast the other side to a larger one.
onnxscript's rules of the same name take scalars alone, take weights for constants, and leave an Identity.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from turbo_webnn.export.passes.conditions import ensure
from turbo_webnn.export.passes.editing import bypass, constant_of, operand, shape_of

_NEUTRAL = {"Mul": 1.0, "Div": 1.0, "Add": 0.0, "Sub": 0.0}
_COMMUTE = frozenset({"Mul", "Add"})


class DropNeutral(ir.passes.InPlacePass):
    """See the module."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Drop each node that gives back its input."""
        modified = False
        for node in model.graph:
            kept = _same(node)
            if kept is not None:
                modified |= bypass(node, kept)
        return ir.passes.PassResult(model, modified)

    def ensures(self, model: ir.Model) -> None:
        """No node gives back its input, but one that gives an output of the graph."""
        left = (node for node in model.graph if _same(node) is not None and not node.outputs[0].is_graph_output())
        ensure(model, (f"{node.op_type} {node.name} changes nothing" for node in left))


def _same(node: ir.Node) -> ir.Value | None:
    """The input that `node` gives back unchanged, or None."""
    if node.op_type == "Cast":
        return operand(node, 0) if operand(node, 0).dtype == node.attributes.get_int("to") else None
    if node.op_type not in _NEUTRAL:
        return None
    for kept, other in ((0, 1), (1, 0)) if node.op_type in _COMMUTE else ((0, 1),):
        constant = constant_of(node.inputs[other])
        if constant is not None and np.all(constant == _NEUTRAL[node.op_type]):
            value = operand(node, kept)
            if shape_of(value) is not None and shape_of(value) == shape_of(node.outputs[0]):
                return value
    return None
