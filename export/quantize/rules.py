"""The grids that weights get where no recipe and no budget says otherwise, and those among which a budget chooses.

What the rounding of each weight does to the noise that a UNet predicts was measured on a trained small one, a weight
at a time. At the first timestep, whose sigma multiplies errors by 14.6, that noise is nearly the input, and passes the
network by: 4 bits in one 1×1 convolution, the last block's last shortcut, left 25 dB of it, in any other weight 48
and more, and all of that below 60 in the first block and the last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from export.quantize.grid import KEPT, Grid
from export.quantize.sites import Site
from models.component import Component

_ENDS = ("conv_in.weight", "conv_out.weight")
"""What enters and what leaves a component goes through these alone, and they are small: they stay as they are."""

_STEERING = ("time_embedding.linear", "add_embedding.linear")
"""One vector of these steers every block: 8 bits, for a thousandth of the bytes."""

_PAINTERS = frozenset({"AutoencoderKL"})
"""Modules whose errors are seen at once, pixel by pixel, and that have few weights: 8 bits."""

_UP = re.compile(r"up_blocks\.(\d+)\.")


def grids_by_rule(component: Component, sites: Sequence[Site], bits: int) -> dict[str, Grid]:
    """The grid of each of `sites` where most weights are to have `bits`: the leanest, finer where it shows."""
    return {name: grids[0] for name, grids in grids_to_choose(component, sites, bits).items()}


def grids_to_choose(component: Component, sites: Sequence[Site], bits: int) -> Mapping[str, list[Grid]]:
    """The grids that each of `sites` may be on, from its least bits up to as it is; the leanest first."""
    last = f"up_blocks.{_last_up(sites)}."
    return {site.name: _grids_from(site, _least_bits(component, site, bits, last)) for site in sites}


def _least_bits(component: Component, site: Site, bits: int, last: str) -> int:
    """The fewest bits for the site's weight; `last` is the block of the UNet before its end."""
    if site.name.endswith(_ENDS) or (site.name.startswith(last) and ".conv_shortcut." in site.name):
        return 16
    outer = site.name.startswith((*_STEERING, "down_blocks.0.", last)) or component.module in _PAINTERS
    return 8 if outer or not site.grids(bits) else bits


def _grids_from(site: Site, least: int) -> list[Grid]:
    quantized = [grid for bits in (4, 8) if bits >= least for grid in site.grids(bits)]
    return [*quantized, KEPT]


def _last_up(sites: Iterable[Site]) -> int:
    """The number of the UNet's last block; 0 where there is none."""
    return max((int(match[1]) for site in sites if (match := _UP.match(site.name))), default=0)
