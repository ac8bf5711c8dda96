"""Graph rewrites, one a file, and the order in which they run.

Each pass has a name (`export.pass_names`) and, where there is more to say than types do, conditions: `requires` is
checked before it runs and `ensures` after.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import onnx_ir as ir
from onnx_ir.passes import common

from turbo_webnn.export.overflows import NOTHING, Overflows
from turbo_webnn.export.pass_names import SETTLING, SIMPLIFYING
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
"""By name, in the order in which they run."""


def pipeline(precision: Precision, overflows: Overflows = NOTHING) -> Passes:
    """The passes that simplify a traced graph whose weights are bound.

    Args:
        precision: of the bundle; fp32 has no pass "lower-precision".
        overflows: modules that stay in float32.
    """
    passes: Passes = {
        "fold-weight-layout": FoldWeightLayout(),  # first: folding would hold each transposed weight
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


def boundary(place: Place, size: Size) -> Passes:
    """The passes that give a finished graph the inputs and outputs that it has in `place`.

    Args:
        place: of the component in its layout.
        size: that of the graph in `place`.
    """
    passes: Passes = {}
    if place.blanking is not None:
        passes["blank-pictures"] = BlankPictures(place.blanking, place.blanking.pictures.shape(size, {}))
    passes["set-boundary"] = SetBoundary(place.ports)
    assert passes.keys() <= set(SETTLING)
    return passes


def simplify(
    model: ir.Model, precision: Precision, overflows: Overflows = NOTHING, skip: Collection[str] = ()
) -> ir.Model:
    """Run the passes of `pipeline` over `model`, in place.

    Args:
        model: a traced graph whose weights are bound.
        precision: of the bundle.
        overflows: modules that stay in float32.
        skip: names of passes to leave out.

    Returns:
        `model`.

    Raises:
        RequestError: where a weight that a pass reads is damaged or out of range.
    """
    run(model, (each for name, each in pipeline(precision, overflows).items() if name not in skip))
    return model


def run(model: ir.Model, passes: Iterable[ir.passes.PassBase]) -> None:
    """Run `passes` over `model`, in place. An error in a pass is raised as it is, not as onnx-ir's PassError."""
    chosen = [*passes]
    if not chosen:
        return  # onnx-ir's Sequential takes one or more
    try:
        ir.passes.Sequential(*chosen)(model)
    except ir.passes.PassError as error:
        if error.__cause__ is None:
            raise
        raise error.__cause__ from error.__cause__.__cause__
