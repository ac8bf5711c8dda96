"""A product by one number moves into the weights that made the other factor: q·scale costs no node.

Looks through Reshape and Transpose to a MatMul, Gemm or Conv by a weight, with its bias. Left alone: a product
whose way back to the weights is read by another node too, or that a Gemm scales already.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from turbo_webnn.export.passes.conditions import ensure
from turbo_webnn.export.passes.editing import (
    add_initializer,
    bypass,
    constant_of,
    is_weight,
    operand,
    sole_use,
    weight_of,
)

_MOVES = frozenset({"Reshape", "Transpose", "Squeeze", "Unsqueeze"})


@dataclass(frozen=True)
class _Slot:
    """Where a weight enters a node."""

    node: ir.Node
    index: int


@dataclass(frozen=True)
class _Scaling:
    """A product by the number `factor`, and the weights that `product` is a linear function of."""

    product: ir.Value
    factor: float
    slots: list[_Slot]


class FoldScale(ir.passes.InPlacePass):
    """See the module."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fold each scale for which the weights are found."""
        modified = False
        for node in model.graph:
            found = _scaling(node)
            if found is not None:
                for slot in found.slots:
                    _scale(model.graph, slot, found.factor)
                bypass(node, found.product)
                modified = True
        return ir.passes.PassResult(model, modified)

    def ensures(self, model: ir.Model) -> None:
        """No product by one number is left whose factor the weights behind it can take."""
        left = (node for node in model.graph if _scaling(node) is not None)
        ensure(model, (f"Mul {node.name} scales what weights made" for node in left))


def _scaling(node: ir.Node) -> _Scaling | None:
    """The scaling that `node` is, or None where it is another thing or the weights are not found."""
    for index in (0, 1) if node.op_type == "Mul" else ():
        product, factor = operand(node, index), constant_of(node.inputs[1 - index])
        slots = _weights_behind(product) if factor is not None and factor.size == 1 else None
        if factor is not None and slots:
            return _Scaling(product, float(factor.reshape(())), slots)
    return None


def _weights_behind(value: ir.Value) -> list[_Slot] | None:
    """The weights of which `value` is a linear function, or None where it is not one, or is read elsewhere."""
    node = value.producer()
    if node is None or not sole_use(value):
        return None
    if node.op_type in _MOVES:
        return _weights_behind(operand(node, 0))
    if node.op_type == "Add":
        for product, bias in ((0, 1), (1, 0)):
            if is_weight(node.inputs[bias]):
                behind = _weights_behind(operand(node, product))
                return None if behind is None else [*behind, _Slot(node, bias)]
        return None
    if node.op_type == "MatMul" and is_weight(node.inputs[1]):
        return [_Slot(node, 1)]
    if node.op_type in ("Gemm", "Conv") and all(is_weight(weight) for weight in node.inputs[1:]):
        plain = node.attributes.get_float("alpha", 1.0) == 1.0 and node.attributes.get_float("beta", 1.0) == 1.0
        return [_Slot(node, index) for index in range(1, len(node.inputs))] if plain else None
    return None


def _scale(graph: ir.Graph, slot: _Slot, factor: float) -> None:
    value = operand(slot.node, slot.index)
    scaled = weight_of(value).scaled(factor)
    if sole_use(value):
        value.const_value = scaled
    else:  # another node reads the weight as it is
        slot.node.replace_input_with(slot.index, add_initializer(graph, f"{value.name}.scaled", scaled))
