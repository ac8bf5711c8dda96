"""The grids that weights get where no recipe and no budget says otherwise, and those among which a budget chooses.

What the rounding of each weight does to the noise that a UNet predicts was measured on a trained small one, a weight
at a time. At the first timestep, whose sigma multiplies errors by 14.6, that noise is nearly the input, and passes the
network by: 4 bits in one 1×1 convolution, the last block's last shortcut, left 25 dB of it, in any other weight 48
and more, and all of that below 60 in the first block and the last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from turbo_webnn.export.quantize.grid import KEPT, Grid
from turbo_webnn.export.quantize.sites import Site
from turbo_webnn.models.component import Component

_ENDS = ("conv_in.weight", "conv_out.weight")
"""What enters and what leaves a component goes through these alone, and they are small: they stay as they are."""

_OUTER = ("down_blocks.0.", "encoder.layers.0.")
"""A UNet's first block, and its last, whose number is looked up; a text encoder's first layer. Twice the bits: with
8 in the UNet's two, and 4 in the rest, the prediction at that timestep was at 64 dB instead of 25."""

_STEERING = ("time_embedding.linear", "add_embedding.linear")
"""One vector of these steers every block: 8 bits, for a thousandth of the bytes."""

_CARRYING = ("self_attn.v_proj.weight", "self_attn.out_proj.weight", "text_projection.weight")
"""What a text encoder's attention moves from token to token, and what is made of it in the end. With 8 bits in these,
pictures of a trained small pipeline were at 45.8 dB instead of 43.3, as with 8 bits in all of its text encoder; with 8
bits in queries and keys, which take as much, at 43.2."""

_PAINTERS = frozenset({"AutoencoderKL"})
"""Modules whose errors are seen at once, pixel by pixel, and that have few weights: 8 bits."""

_DEEP = frozenset({"UNet2DConditionModel"})
"""Modules of so many weights that noise in one of them is drowned, but for those that are named."""

_UP = re.compile(r"up_blocks\.(\d+)\.")

NAMED, OUTSIDE = 300.0, 30.0
"""How much more noise counts, where a budget chooses, in a weight that is named above, and in any other outside of the
UNet, than in the UNet's many others. Measured on a trained small pipeline: 4 bits in its UNet's first block raised the
noise of its pictures by 335 percent, in the last by 115, in its text encoder's first layer by 88, in its whole VAE
decoder by 27; 8 bits in all of the UNet's others took away 2."""


@dataclass(frozen=True)
class Options:
    """The grids that a weight may be on, the leanest first, the rule's own, and how much its noise counts."""

    grids: tuple[Grid, ...]
    by_rule: Grid
    emphasis: float


def options_for(component: Component, sites: Sequence[Site], bits: int) -> dict[str, Options]:
    """What may become of the weights of `sites`, by name, where most are to have `bits`."""
    last = f"up_blocks.{_last_up(sites)}."
    outer = (*_OUTER, last)
    options = {}
    for site in sites:
        name = site.name.removeprefix("text_model.")  # one of transformers' two text encoders says so
        if name.endswith(_ENDS) or (name.startswith(last) and ".conv_shortcut." in name):
            options[site.name] = Options((KEPT,), KEPT, NAMED)
            continue
        named = name.startswith((*outer, *_STEERING)) or name.endswith(_CARRYING)
        fine = named or component.module in _PAINTERS
        wished = 2 * bits if name.startswith(outer) else max(bits, 8) if fine else bits
        grids = [*(grid for each in (4, 8) if each >= bits for grid in site.grids(each)), KEPT]
        by_rule = next(grid for grid in grids if grid.bits >= wished)
        others = 1.0 if component.module in _DEEP else OUTSIDE
        options[site.name] = Options(tuple(grids), by_rule, NAMED if named else others)
    return options


def _last_up(sites: Iterable[Site]) -> int:
    """The number of the UNet's last block; 0 where there is none."""
    return max((int(match[1]) for site in sites if (match := _UP.match(site.name))), default=0)
