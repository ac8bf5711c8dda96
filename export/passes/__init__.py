"""Graph rewrites, one a file, and the order in which they run."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes import common

from turbo_webnn.export.overflows import NOTHING, Overflows
from turbo_webnn.export.passes.drop_neutral import DropNeutral
from turbo_webnn.export.passes.fold_constants import FoldConstants
from turbo_webnn.export.passes.fold_scale import FoldScale
from turbo_webnn.export.passes.fold_weight_layout import FoldWeightLayout
from turbo_webnn.export.passes.lower_precision import LowerPrecision
from turbo_webnn.export.passes.merge_views import MergeViews
from turbo_webnn.export.passes.name_nodes import NameNodes
from turbo_webnn.models.precision import BOUNDARY_TYPE, Precision


def passes_for(precision: Precision, overflows: Overflows = NOTHING) -> tuple[ir.passes.InPlacePass, ...]:
    """The rewrites of a traced graph whose weights are bound, in order; modules that overflow stay in float32."""
    return (
        FoldWeightLayout(),  # first: folding would hold each transposed weight
        FoldConstants(),
        DropNeutral(),
        MergeViews(),
        FoldScale(),
        common.CommonSubexpressionEliminationPass(),
        *((LowerPrecision(overflows),) if BOUNDARY_TYPE[precision] == "float16" else ()),
        common.RemoveUnusedNodesPass(),
        NameNodes(),
    )


def simplify(model: ir.Model, precision: Precision, overflows: Overflows = NOTHING) -> ir.Model:
    """Run every pass over `model`, in place; modules that overflow stay in float32."""
    for rewrite in passes_for(precision, overflows):
        rewrite(model)
    return model
