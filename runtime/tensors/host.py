"""Arrays of numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.runtime.draw import images

Array = NDArray[Any]


class HostTensors:
    """`Tensors` of numpy arrays, in float32. Numbers that leave its range become infinite."""

    def write(self, array: Array) -> Array:
        """`array` itself."""
        return array

    def read(self, value: Array) -> NDArray[np.float32]:
        """`value` in float32."""
        return value.astype(np.float32, copy=False)

    @np.errstate(over="ignore", invalid="ignore")
    def scaled(self, value: Array, factor: float) -> Array:
        """`factor`·`value`."""
        return self.read(value) * np.float32(factor)

    @np.errstate(over="ignore", invalid="ignore")
    def combined(self, terms: Sequence[tuple[float, Array]]) -> Array:
        """The sum of the terms, one after another."""
        (coefficient, first), *others = terms
        total = self.read(first) if coefficient == 1 else self.scaled(first, coefficient)
        for coefficient, value in others:
            if coefficient:
                total = total + np.float32(coefficient) * self.read(value)
        return total

    def joined(self, values: Sequence[Array]) -> Array:
        """Along the last axis."""
        return values[0] if len(values) == 1 else np.concatenate(values, axis=-1)

    def finite(self, value: Array) -> bool:
        """Whether every number is finite."""
        return bool(np.isfinite(value).all())

    def pixels(self, sample: Array) -> NDArray[np.uint8]:
        """In eight bits."""
        return images.to_pixels(self.read(sample))

    def release(self, *values: Array) -> None:
        """Nothing: arrays go when nobody refers to them."""
