"""The grids that weights get where no recipe and no budget says otherwise, and those among which a budget chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from turbo_webnn.export.quantize.grid import KEPT, Grid
from turbo_webnn.export.quantize.sites import Site
from turbo_webnn.models.component import Component


@dataclass(frozen=True)
class Options:
    """The grids that a weight may be on, the leanest first, the rule's own, and how much its noise counts."""

    grids: tuple[Grid, ...]
    by_rule: Grid
    emphasis: float


def options_for(component: Component, sites: Sequence[Site], bits: int) -> dict[str, Options]:
    """What may become of the weights of `sites`, by name, where most are to have `bits`, as the part's rules say."""
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
