"""Removes Mul and Div by 1, Add and Sub of 0, and Cast to the same type.

Left alone: a neutral constant whose shape broadcasts the other operand to a larger shape. onnxscript's rules of the
same name handle only scalars, treat weights as constants, and leave an Identity.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from turbo_webnn.export.passes.conditions import ensure
from turbo_webnn.export.passes.editing import bypass, constant_of, operand, shape_of

_NEUTRAL = {"Mul": 1.0, "Div": 1.0, "Add": 0.0, "Sub": 0.0}
_COMMUTATIVE = frozenset({"Mul", "Add"})


class DropNeutral(ir.passes.InPlacePass):
    """See the module."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Drop each node whose output equals one of its inputs."""
        modified = False
        for node in model.graph:
            value = _unchanged_input(node)
            if value is not None:
                modified |= bypass(node, value)
        return ir.passes.PassResult(model, modified)

    def ensures(self, model: ir.Model) -> None:
        """No node has an output equal to its input, except nodes that compute an output of the graph."""
        inner = (node for node in model.graph if not node.outputs[0].is_graph_output())
        neutral = (node for node in inner if _unchanged_input(node) is not None)
        ensure(model, (f"{node.op_type} {node.name} changes nothing" for node in neutral))


def _unchanged_input(node: ir.Node) -> ir.Value | None:
    """The input that equals the output of `node`, or None."""
    if node.op_type == "Cast":
        return operand(node, 0) if operand(node, 0).dtype == node.attributes.get_int("to") else None
    if node.op_type not in _NEUTRAL:
        return None
    for value_index, constant_index in ((0, 1), (1, 0)) if node.op_type in _COMMUTATIVE else ((0, 1),):
        constant = constant_of(node.inputs[constant_index])
        if constant is not None and np.all(constant == _NEUTRAL[node.op_type]):
            value = operand(node, value_index)
            if shape_of(value) is not None and shape_of(value) == shape_of(node.outputs[0]):
                return value
    return None
