"""Graph rewrites, one per file, and the order in which they run.

Each pass has a name (`export.pass_names`). Some passes have conditions: `requires` is checked before the pass runs, and
`ensures` after it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import onnx_ir as ir
from onnx_ir.passes import common

from turbo_webnn.export.overflows import NO_OVERFLOWS, Overflows
from turbo_webnn.export.pass_names import BOUNDARY, SIMPLIFYING
from turbo_webnn.export.passes.blank_pictures import BlankPictures
from turbo_webnn.export.passes.drop_neutral import DropNeutral
from turbo_webnn.export.passes.fold_constants import FoldConstants
from turbo_webnn.export.passes.fold_scale import FoldScale
from turbo_webnn.export.passes.fold_weight_layout import FoldWeightLayout
from turbo_webnn.export.passes.lower_precision import LowerPrecision
from turbo_webnn.export.passes.merge_views import MergeViews
from turbo_webnn.export.passes.name_nodes import NameNodes
from turbo_webnn.export.passes.set_boundary import SetBoundary
from turbo_webnn.models.component import Size
from turbo_webnn.models.layouts.layout import Place
from turbo_webnn.models.precision import BOUNDARY_TYPE, Precision

Passes = dict[str, ir.passes.PassBase]
"""Passes by name, in the order in which they run."""


def simplifying_passes(precision: Precision, overflows: Overflows = NO_OVERFLOWS) -> Passes:
    """The passes that simplify a traced graph whose weights are bound.

    Args:
        precision: the precision of the bundle. With fp32 there is no pass "lower-precision".
        overflows: modules that stay in float32.
    """
    passes: Passes = {
        "fold-weight-layout": FoldWeightLayout(),  # first: constant folding would keep each transposed weight in memory
        "fold-constants": FoldConstants(),
        "drop-neutral": DropNeutral(),
        "merge-views": MergeViews(),
        "fold-scale": FoldScale(),
        "merge-equal-nodes": common.CommonSubexpressionEliminationPass(),
        "lower-precision": LowerPrecision(overflows),
        "remove-unused-nodes": common.RemoveUnusedNodesPass(),
        "name-nodes": NameNodes(),
    }
    assert tuple(passes) == SIMPLIFYING
    if BOUNDARY_TYPE[precision] != "float16":
        del passes["lower-precision"]
    return passes


def boundary_passes(place: Place, size: Size) -> Passes:
    """The passes that give a finished graph the inputs and outputs that it has in `place`.

    Args:
        place: the place of the component in its layout.
        size: the size that the graph serves in `place`.
    """
    passes: Passes = {}
    if place.blanking is not None:
        passes["blank-pictures"] = BlankPictures(place.blanking, place.blanking.pictures.shape(size, {}))
    passes["set-boundary"] = SetBoundary(place.ports)
    assert passes.keys() <= set(BOUNDARY)
    return passes


def simplify(
    model: ir.Model, precision: Precision, overflows: Overflows = NO_OVERFLOWS, skip: Collection[str] = ()
) -> ir.Model:
    """Run the passes of `simplifying_passes` over `model`, in place.

    Args:
        model: a traced graph whose weights are bound.
        precision: the precision of the bundle.
        overflows: modules that stay in float32.
        skip: names of passes to leave out.

    Returns:
        `model`.

    Raises:
        RequestError: if a weight that a pass reads is damaged or out of range.
    """
    passes = simplifying_passes(precision, overflows)
    run_passes(model, (graph_pass for name, graph_pass in passes.items() if name not in skip))
    return model


def run_passes(model: ir.Model, passes: Iterable[ir.passes.PassBase]) -> None:
    """Run `passes` over `model`, in place. An error in a pass is raised unchanged, not as onnx-ir's PassError."""
    sequence = [*passes]
    if not sequence:
        return  # onnx-ir's Sequential needs at least one pass
    try:
        ir.passes.Sequential(*sequence)(model)
    except ir.passes.PassError as error:
        if error.__cause__ is None:
            raise
        raise error.__cause__ from error.__cause__.__cause__
