"""Seeded noise: the numbers of `torch.randn` on the CPU, without torch.

The generator is the Mersenne Twister. The transforms are those of PyTorch's `normal_` on the CPU (ATen:
DistributionTemplates.h, DistributionsHelper.h). PyTorch has two of them, and the size of the draw selects one. The code
is plain arithmetic, so that it can be ported to another language (`runtime/web/noise.mjs`).

A seed gives the picture of diffusers where diffusers draws the same numbers: from one `torch.Generator()` on the CPU
(one on CUDA draws others), without guidance, with `num_images_per_prompt` equal to the bundle's batch. A pipeline in
float16 rounds them. Image to image has to sample the latents of its picture too (`runtime.draw.posterior`), which draws
from the generator first. With mean latents the picture differs, because the noise that follows is another part of the
stream.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.models.errors import RequestError

Float32Array = NDArray[np.float32]

_BLOCK = 16
"""PyTorch fills draws of at least this many numbers in blocks of this size."""


class NoiseSource:
    """A stream of standard normal noise: `torch.randn` with `torch.Generator().manual_seed(seed)`.

    Successive draws from one source equal successive draws of torch from one generator. The numbers equal those of
    torch within 1e-5, because torch's vectorised logarithm and sine round differently.

    Raises:
        RequestError: where torch does not accept `seed`.
    """

    def __init__(self, seed: int) -> None:
        if not -(2**63) <= seed < 2**64:
            raise RequestError(f"seed {seed} does not fit 64 bits", "give a number from 0 to 2⁶⁴ - 1")
        self._bits = np.random.MT19937()
        # The twister uses 32 bits of the seed, and torch drops the others too. RandomState seeds it like the reference
        # code (init_genrand). MT19937's own constructor does not.
        self._bits.state = cast(Any, np.random.RandomState(seed & 0xFFFFFFFF).get_state(legacy=False))
        self._spare: float | None = None

    def normal(self, shape: tuple[int, ...]) -> Float32Array:
        """Draw `torch.randn(shape)`, in float32."""
        count = math.prod(shape)
        if count < _BLOCK:
            return np.array([self._draw_one() for _ in range(count)], np.float32).reshape(shape)
        uniform = self._uniform24(count)
        in_blocks = count - count % _BLOCK
        normal = np.empty(count, np.float32)
        normal[:in_blocks] = _box_muller(uniform[:in_blocks])
        if in_blocks < count:  # for an incomplete block, torch draws the last sixteen numbers again
            normal[-_BLOCK:] = _box_muller(self._uniform24(_BLOCK))
        return normal.reshape(shape)

    def _uniform24(self, count: int) -> Float32Array:
        """Draw numbers in [0, 1) of 24 bits, the precision of a float32's mantissa."""
        bits = self._bits.random_raw(count) & 0xFFFFFF
        return np.asarray(bits, np.float32) * np.float32(2.0**-24)

    def _uniform53(self) -> float:
        """Draw a number in [0, 1) of 53 bits, from two outputs of the twister, the high half first."""
        high, low = (int(bits) for bits in self._bits.random_raw(2))
        return ((high << 32 | low) & (2**53 - 1)) * 2.0**-53

    def _draw_one(self) -> float:
        """Draw one normal number by Box-Muller in double precision.

        Box-Muller gives two numbers. The second is kept for the next call.
        """
        if self._spare is not None:
            spare, self._spare = self._spare, None
            return spare
        angle = 2.0 * math.pi * self._uniform53()
        radius = math.sqrt(-2.0 * math.log1p(-self._uniform53()))
        self._spare = radius * math.sin(angle)
        return radius * math.cos(angle)


def _box_muller(uniform: Float32Array) -> Float32Array:
    """Transform uniform numbers into normal ones, by blocks. In a block, 8 numbers give radii, then 8 give angles."""
    blocks = uniform.reshape(-1, 2, _BLOCK // 2)  # [blocks, 2, 8]
    radius = np.sqrt(-2.0 * np.log(np.float32(1.0) - blocks[:, 0]))  # 1 - u, because u can be 0
    angle = np.float32(2.0 * math.pi) * blocks[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)
