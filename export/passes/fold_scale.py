"""Folds a product by one number into the weights that compute the other factor, so that q·scale needs no node.

The weights are those of a MatMul, Gemm or Conv with its bias, behind any Reshape and Transpose. Left alone: a product
if another node reads a value between it and the weights, or if the Gemm has an alpha or beta other than 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from turbo_webnn.export.passes.conditions import ensure
from turbo_webnn.export.passes.editing import (
    add_initializer,
    bypass,
    constant_of,
    has_sole_use,
    is_weight,
    operand,
    weight_of,
)

_VIEWS = frozenset({"Reshape", "Transpose", "Squeeze", "Unsqueeze"})


@dataclass(frozen=True)
class _Slot:
    """The input of a node that is a weight."""

    node: ir.Node
    index: int


@dataclass(frozen=True)
class _Scaling:
    """A scaling of `product` by the number `factor`. `product` is a linear function of the weights at `slots`."""

    product: ir.Value
    factor: float
    slots: list[_Slot]


class FoldScale(ir.passes.InPlacePass):
    """See the module."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fold each scaling whose weights are found."""
        modified = False
        for node in model.graph:
            scaling = _scaling(node)
            if scaling is not None:
                for slot in scaling.slots:
                    _scale(model.graph, slot, scaling.factor)
                bypass(node, scaling.product)
                modified = True
        return ir.passes.PassResult(model, modified)

    def ensures(self, model: ir.Model) -> None:
        """No product by one number is left that can be folded into weights."""
        foldable = (node for node in model.graph if _scaling(node) is not None)
        ensure(model, (f"Mul {node.name} scales what weights made" for node in foldable))


def _scaling(node: ir.Node) -> _Scaling | None:
    """The scaling that `node` computes, or None if it computes none or the weights are not found."""
    for index in (0, 1) if node.op_type == "Mul" else ():
        product, factor = operand(node, index), constant_of(node.inputs[1 - index])
        slots = _weights_behind(product) if factor is not None and factor.size == 1 else None
        if factor is not None and slots:
            return _Scaling(product, float(factor.reshape(())), slots)
    return None


def _weights_behind(value: ir.Value) -> list[_Slot] | None:
    """The weights of which `value` is a linear function; None if there are none, or if another node reads `value`."""
    node = value.producer()
    if node is None or not has_sole_use(value):
        return None
    if node.op_type in _VIEWS:
        return _weights_behind(operand(node, 0))
    if node.op_type == "Add":
        for product, bias in ((0, 1), (1, 0)):
            if is_weight(node.inputs[bias]):
                slots = _weights_behind(operand(node, product))
                return None if slots is None else [*slots, _Slot(node, bias)]
        return None
    if node.op_type == "MatMul" and is_weight(node.inputs[1]):
        return [_Slot(node, 1)]
    if node.op_type in ("Gemm", "Conv") and all(is_weight(weight) for weight in node.inputs[1:]):
        unscaled = node.attributes.get_float("alpha", 1.0) == 1.0 and node.attributes.get_float("beta", 1.0) == 1.0
        return [_Slot(node, index) for index in range(1, len(node.inputs))] if unscaled else None
    return None


def _scale(graph: ir.Graph, slot: _Slot, factor: float) -> None:
    value = operand(slot.node, slot.index)
    scaled = weight_of(value).scaled(factor)
    if has_sole_use(value):
        value.const_value = scaled
    else:  # another node reads the weight as it is
        slot.node.replace_input_with(slot.index, add_initializer(graph, f"{value.name}.scaled", scaled))
