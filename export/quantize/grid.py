"""How a quantised weight is written: bits a number, and numbers that share a scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Method = Literal["search", "range"]
"""How scales are found: by least squared error, or from a block's range, which is round to nearest."""

METHODS: tuple[Method, ...] = get_args(Method)

BLOCKS = (128, 64, 32, 16)
"""Numbers that may share a scale: what MatMulNBits takes, the leanest first."""


@dataclass(frozen=True)
class Grid:
    """The integers that stand for a weight's numbers.

    A number is `scale · (code − zero point)`, the scale one that float16 holds. In 4 bits each block has a zero
    point; 8 bits are fine enough to do without.

    Attributes:
        bits: of a code: 4 or 8; 16 where the weight stays as it is.
        block: numbers along the axis that is summed over that share a scale, or None for one scale a row.

    Raises:
        ValueError: where there is no such grid.
    """

    bits: int
    block: int | None = None

    def __post_init__(self) -> None:
        if self.bits not in (4, 8, 16) or self.block not in (None, *BLOCKS):
            raise ValueError(f"there is no grid of {self.bits} bits in blocks of {self.block}")

    @property
    def kept(self) -> bool:
        """Whether the weight is not quantised at all."""
        return self.bits == 16

    @property
    def has_zeros(self) -> bool:
        """Whether each block has a zero point."""
        return self.bits == 4

    @property
    def lowest(self) -> int:
        """The smallest code."""
        return -(1 << (self.bits - 1))

    @property
    def highest(self) -> int:
        """The largest code."""
        return (1 << (self.bits - 1)) - 1

    def blocks(self, shape: Sequence[int]) -> int:
        """How many blocks a weight of `shape` has, rows first."""
        return shape[0] if self.block is None else math.prod(shape) // self.block

    def nbytes(self, shape: Sequence[int], float_bytes: int = 2) -> int:
        """Bytes of codes, scales and zero points of a weight of `shape`, rows first; `float_bytes` is its type's."""
        if self.kept:
            return math.prod(shape) * float_bytes
        zeros = -(-self.blocks(shape) * self.bits // 8) if self.has_zeros else 0
        return math.prod(shape) * self.bits // 8 + self.blocks(shape) * float_bytes + zeros


KEPT = Grid(16)
"""A weight that stays as it is."""
