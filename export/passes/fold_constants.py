"""Computes constant parts of the graph: onnxscript's folding, with a limit on the size of tensors.

Constants become initializers. Equal small initializers become one. Unused nodes are removed, and every value gets its
shape. Left alone: nodes that read or make a tensor of more than `LARGEST` numbers.
"""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common
from onnxscript import optimizer

from turbo_webnn.export.passes.conditions import ensure
from turbo_webnn.export.passes.editing import shape_of

LARGEST = 1 << 17
"""The most numbers of a folded tensor: the position embedding of a text encoder (77 × 1280) folds, larger weights do
not."""


class FoldConstants(ir.passes.InPlacePass):
    """See the module."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Fold constants, and remove what is unused afterwards."""
        # equal subexpressions first: each layer has its own copy of the causal mask
        common.CommonSubexpressionEliminationPass()(model)
        optimizer.fold_constants(model, input_size_limit=LARGEST, output_size_limit=LARGEST)
        common.IdentityEliminationPass()(model)
        common.RemoveUnusedNodesPass()(model)
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
        common.DeduplicateInitializersPass(size_limit=LARGEST)(model)
        common.ShapeInferencePass()(model)
        return ir.passes.PassResult(model, modified=True)

    def ensures(self, model: ir.Model) -> None:
        """No Constant is left, and every output of a node has a type and a static shape."""
        constants = (node for node in model.graph if node.op_type == "Constant")
        ensure(model, (f"Constant {node.name} is left" for node in constants))
        values = (value for node in model.graph for value in node.outputs if value.name)
        unknown = (value for value in values if value.dtype is None or shape_of(value) is None)
        ensure(model, (f"{value.name} has no type, or no static shape" for value in unknown))
