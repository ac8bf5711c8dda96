"""`Tensors` as numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.runtime.draw import images

Array = NDArray[Any]


class HostTensors:
    """`Tensors` as numpy arrays, in float32. Numbers outside its range become infinite."""

    def write(self, array: Array) -> Array:
        """Return `array` itself."""
        return array

    def read(self, value: Array) -> NDArray[np.float32]:
        """Convert `value` to float32."""
        return value.astype(np.float32, copy=False)

    @np.errstate(over="ignore", invalid="ignore")
    def scale(self, value: Array, factor: float) -> Array:
        """Compute `factor`·`value`."""
        return self.read(value) * np.float32(factor)

    @np.errstate(over="ignore", invalid="ignore")
    def weighted_sum(self, terms: Sequence[tuple[float, Array]]) -> Array:
        """Add coefficient·value of each term, in order."""
        (coefficient, first), *others = terms
        total = self.read(first) if coefficient == 1 else self.scale(first, coefficient)
        for coefficient, value in others:
            if coefficient:
                total = total + np.float32(coefficient) * self.read(value)
        return total

    def mean(self, moments: Array) -> Array:
        """The first half of the channels."""
        mean, _ = self._halves(moments)
        return mean

    @np.errstate(over="ignore", invalid="ignore")
    def sample(self, moments: Array, noise: Array) -> Array:
        """Compute mean + exp(v / 2)·noise."""
        mean, log_variance = self._halves(moments)
        deviation: NDArray[np.float32] = np.exp(np.float32(0.5) * log_variance)
        return mean + deviation * self.read(noise)

    def concatenate(self, values: Sequence[Array]) -> Array:
        """Concatenate along the last axis."""
        return values[0] if len(values) == 1 else np.concatenate(values, axis=-1)

    def is_finite(self, value: Array) -> bool:
        """Whether every number of `value` is finite."""
        return bool(np.isfinite(value).all())

    def to_pixels(self, sample: Array) -> NDArray[np.uint8]:
        """Convert `sample` to bytes."""
        return images.to_pixels(self.read(sample))

    def _halves(self, moments: Array) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        mean, log_variance = np.split(self.read(moments), 2, axis=1)
        return mean, log_variance

    def release(self, *values: Array) -> None:
        """Do nothing: Python frees arrays without references."""
