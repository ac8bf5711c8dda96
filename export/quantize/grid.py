"""The grid of a quantised weight: the bits of a number, and how many numbers share a scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Method = Literal["search", "range"]
"""How scales are found: `search` is by least squared error, `range` is round to nearest in the range of a block."""

METHODS: tuple[Method, ...] = get_args(Method)

BLOCKS = (128, 64, 32, 16)
"""How many numbers may share a scale: the block sizes of MatMulNBits, the grid with the fewest bytes first."""


@dataclass(frozen=True)
class Grid:
    """The integers that represent a weight's numbers.

    A number is `scale · (code − zero point)`. The scale is a float16 number. With 4 bits each block has a zero point;
    with 8 bits none is needed.

    Attributes:
        bits: the bits of a code: 4 or 8; 16 if the weight is not quantised.
        block: how many numbers along the summed axis share a scale; None for one scale per row.

    Raises:
        ValueError: if there is no such grid.
    """

    bits: int
    block: int | None = None

    def __post_init__(self) -> None:
        if self.bits not in (4, 8, 16) or self.block not in (None, *BLOCKS):
            raise ValueError(f"there is no grid of {self.bits} bits in blocks of {self.block}")

    @property
    def kept(self) -> bool:
        """Whether the weight is not quantised."""
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
        """The number of blocks of a weight of `shape`, rows first."""
        return shape[0] if self.block is None else math.prod(shape) // self.block

    def nbytes(self, shape: Sequence[int], float_bytes: int = 2) -> int:
        """Bytes of codes, scales and zero points of a weight of `shape`, rows first.

        `float_bytes` are the bytes of a number of the weight's float type.
        """
        if self.kept:
            return math.prod(shape) * float_bytes
        zeros = -(-self.blocks(shape) * self.bits // 8) if self.has_zeros else 0
        return math.prod(shape) * self.bits // 8 + self.blocks(shape) * float_bytes + zeros


KEPT = Grid(16)
"""The grid of a weight that is not quantised."""
