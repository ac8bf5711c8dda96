"""How the weights of a part are quantised where neither a recipe nor a budget says otherwise.

What the rounding of each weight does to the noise that a UNet predicts was measured on a trained small one, a weight
at a time. At the first timestep, whose sigma multiplies errors by 14.6, that noise is nearly the input, and passes the
network by: 4 bits in one 1×1 convolution, the last block's last shortcut, left 25 dB of it, in any other weight 48
and more, and all of that below 60 in the first block and the last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

NAMED, OTHERS = 300.0, 30.0
"""How much more noise counts, where a budget chooses, in a weight that a rule names, and in any other outside of a
UNet, than in a UNet's many others. Measured on a trained small pipeline: 4 bits in its UNet's first block raised the
noise of its pictures by 335 percent, in the last by 115, in its text encoder's first layer by 88, in its whole VAE
decoder by 27; 8 bits in all of the UNet's others took away 2."""

FINE_BITS = 8


@dataclass(frozen=True)
class WeightRule:
    """What becomes of one weight.

    Attributes:
        kept: whether it stays in the precision of the graph.
        bits: the number of bits that it gets, or the next larger one that it can have.
        emphasis: how much its noise counts where a budget chooses.
    """

    kept: bool
    bits: int
    emphasis: float


@dataclass(frozen=True)
class WeightRules:
    """The rules of a part, by the names of its parameters.

    Attributes:
        kept: ends of names that stay as they are.
        doubled: beginnings of names that get twice the bits.
        blocks: name of a list of blocks whose last one gets twice the bits, and whose shortcuts there are kept.
        fine: beginnings and ends of names that get 8 bits.
        ignored_prefix: what some libraries put before every name.
        least: fewest bits of any weight.
        emphasis: how much the noise of a weight counts that no rule names.
    """

    kept: tuple[str, ...] = ()
    doubled: tuple[str, ...] = ()
    blocks: str | None = None
    fine: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    ignored_prefix: str = ""
    least: int = 0
    emphasis: float = OTHERS

    def rule(self, name: str, names: Iterable[str], bits: int) -> WeightRule:
        """What becomes of the weight `name` among the weights `names`, where most are to have `bits`."""
        name = name.removeprefix(self.ignored_prefix)
        last = () if self.blocks is None else (self._last(self.blocks, names),)
        if name.endswith(self.kept) or (name.startswith(last) and ".conv_shortcut." in name):
            return WeightRule(kept=True, bits=bits, emphasis=NAMED)
        doubled = name.startswith((*self.doubled, *last))
        beginnings, ends = self.fine
        named = doubled or name.startswith(beginnings) or name.endswith(ends)
        fine = FINE_BITS if named else self.least
        return WeightRule(False, 2 * bits if doubled else max(bits, fine), NAMED if named else self.emphasis)

    @staticmethod
    def _last(blocks: str, names: Iterable[str]) -> str:
        """What the names of the last block's weights begin with."""
        pattern = re.compile(rf"{re.escape(blocks)}\.(\d+)\.")
        return f"{blocks}.{max((int(match[1]) for name in names if (match := pattern.match(name))), default=0)}."
