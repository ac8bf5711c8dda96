"""The grids of weights by the rules of their parts, and the grids among which a budget chooses.

The rules apply if there is neither a recipe nor a budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from turbo_webnn.export.quantize.grid import KEPT, Grid
from turbo_webnn.export.quantize.sites import Site
from turbo_webnn.models.component import Component


@dataclass(frozen=True)
class Options:
    """The grids that a weight may have, the one with the fewest bytes first; the rule's grid; the noise's emphasis."""

    grids: tuple[Grid, ...]
    by_rule: Grid
    emphasis: float


def options_for(component: Component, sites: Sequence[Site], bits: int) -> dict[str, Options]:
    """The options of the weights of `sites`, by name, by the rules of the component's part.

    Args:
        component: the component of the weights.
        sites: the weights.
        bits: the bits of most weights.
    """
    names = [site.name for site in sites]
    options = {}
    for site in sites:
        rule = component.part.weights.rule(site.name, names, bits)
        if rule.kept:
            options[site.name] = Options((KEPT,), KEPT, rule.emphasis)
            continue
        grids = [*(grid for width in (4, 8) if width >= bits for grid in site.grids(width)), KEPT]
        by_rule = next(grid for grid in grids if grid.bits >= rule.bits)
        options[site.name] = Options(tuple(grids), by_rule, rule.emphasis)
    return options
