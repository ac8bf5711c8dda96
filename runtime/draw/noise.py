"""Seeded noise: the numbers that `torch.randn` draws on the CPU, without torch.

A seed that users know from diffusers gives the same picture here. The generator is the Mersenne Twister; the
transforms are those of PyTorch's `normal_` on the CPU (ATen: DistributionTemplates.h, DistributionsHelper.h),
which are two, by the size of the draw. Everything here is plain arithmetic on purpose, to be written again in
another language.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.models.errors import RequestError

Float32Array = NDArray[np.float32]

_BLOCK = 16
"""Draws of at least this many numbers are filled in blocks of as many."""


class NoiseSource:
    """A stream of standard normal noise, as `torch.Generator().manual_seed(seed)` feeds `torch.randn`.

    Two draws from one source are the two that torch makes in sequence from one generator. Equal to torch's
    within 1e-5: its vectorised logarithm and sine round differently.

    Raises:
        RequestError: where torch would not take `seed`.
    """

    def __init__(self, seed: int) -> None:
        if not -(2**63) <= seed < 2**64:
            raise RequestError(f"seed {seed} does not fit 64 bits", "give a number from 0 to 2⁶⁴ - 1")
        self._bits = np.random.MT19937()
        # The twister has 32 bits of seed; torch drops the others too. RandomState seeds it as the reference
        # code does (init_genrand), which MT19937's own constructor does not.
        self._bits.state = cast(Any, np.random.RandomState(seed & 0xFFFFFFFF).get_state(legacy=False))
        self._spare: float | None = None

    def normal(self, shape: tuple[int, ...]) -> Float32Array:
        """`torch.randn(shape)`, float32."""
        count = math.prod(shape)
        if count < _BLOCK:
            return np.array([self._one() for _ in range(count)], np.float32).reshape(shape)
        uniform = self._uniform24(count)
        whole = count - count % _BLOCK
        normal = np.empty(count, np.float32)
        normal[:whole] = _box_muller(uniform[:whole])
        if whole < count:  # torch draws the last sixteen anew where the blocks do not come out even
            normal[-_BLOCK:] = _box_muller(self._uniform24(_BLOCK))
        return normal.reshape(shape)

    def _uniform24(self, count: int) -> Float32Array:
        """Numbers in [0, 1) of 24 bits, as many as a float32's mantissa tells apart."""
        bits = self._bits.random_raw(count) & 0xFFFFFF
        return np.asarray(bits, np.float32) * np.float32(2.0**-24)

    def _uniform53(self) -> float:
        """A number in [0, 1) of 53 bits, from two draws, the high half first."""
        high, low = (int(bits) for bits in self._bits.random_raw(2))
        return ((high << 32 | low) & (2**53 - 1)) * 2.0**-53

    def _one(self) -> float:
        """One normal number by Box-Muller in double precision, which makes two: the other waits."""
        if self._spare is not None:
            spare, self._spare = self._spare, None
            return spare
        angle = 2.0 * math.pi * self._uniform53()
        radius = math.sqrt(-2.0 * math.log1p(-self._uniform53()))
        self._spare = radius * math.sin(angle)
        return radius * math.cos(angle)


def _box_muller(uniform: Float32Array) -> Float32Array:
    """Normal numbers from uniform ones, block by block: the first eight are radii, the last eight angles."""
    blocks = uniform.reshape(-1, 2, _BLOCK // 2)  # [blocks, 2, 8]
    radius = np.sqrt(-2.0 * np.log(np.float32(1.0) - blocks[:, 0]))  # 1 - u, for u may be 0
    angle = np.float32(2.0 * math.pi) * blocks[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)
