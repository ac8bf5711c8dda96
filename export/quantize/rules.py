"""The grids that weights get where no recipe and no budget says otherwise, and those among which a budget chooses."""

from __future__ import annotations

from collections.abc import Iterable

from export.quantize.grid import KEPT, Grid
from export.quantize.sites import Site
from models.component import Component

_ENDS = ("conv_in.weight", "conv_out.weight")
"""What enters and what leaves a component goes through these alone, and they are small: they stay in float16."""

_STEERING = ("time_embedding.linear", "add_embedding.linear")
"""One vector of these steers every block: 8 bits, for a thousandth of the bytes."""

_PAINTERS = frozenset({"AutoencoderKL"})
"""Modules whose errors are seen at once, pixel by pixel, and that have few weights: 8 bits."""


def grids_by_rule(component: Component, sites: Iterable[Site], bits: int) -> dict[str, Grid]:
    """The grid of each of `sites` where most weights are to have `bits`: the leanest, finer where it shows."""
    return {site.name: _lean(site, _least_bits(component, site, bits)) for site in sites}


def grids_to_choose(component: Component, site: Site, bits: int) -> list[Grid]:
    """The grids that a budget may give the site's weight, from `bits` up to float16; the leanest first."""
    least = _least_bits(component, site, bits)
    return [grid for count in (4, 8, 16) if count >= least for grid in _grids(site, count)]


def _least_bits(component: Component, site: Site, bits: int) -> int:
    if site.name.endswith(_ENDS):
        return 16
    fine = component.module in _PAINTERS or site.name.startswith(_STEERING) or not site.grids(bits)
    return 8 if fine else bits


def _lean(site: Site, bits: int) -> Grid:
    return _grids(site, bits)[0]


def _grids(site: Site, bits: int) -> list[Grid]:
    return [KEPT] if bits == 16 else site.grids(bits)
