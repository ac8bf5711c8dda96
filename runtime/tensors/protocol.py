"""The operations between the components of a pipeline, on one kind of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value")
"""A tensor: a numpy array, a slot on the device, or a tensor of PyTorch."""


class Tensors(Protocol[Value]):
    """Operations on tensors. Results are in float32, except for tensors of PyTorch, which keep their type."""

    def write(self, array: NDArray[Any]) -> Value:
        """Convert `array` on the host to a tensor."""

    def read(self, value: Value) -> NDArray[np.float32]:
        """Read `value` on the host, in float32."""

    def scale(self, value: Value, factor: float) -> Value:
        """Compute `factor`·`value`."""

    def weighted_sum(self, terms: Sequence[tuple[float, Value]]) -> Value:
        """Add coefficient·value of each term, in order. Later terms with coefficient 0 are skipped."""

    def mean(self, moments: Value) -> Value:
        """The first half of the channels of `moments` [batch, 2·channels, h, w]: the mean of normal distributions."""

    def sample(self, moments: Value, noise: Value) -> Value:
        """Compute mean + exp(v / 2)·noise, where v, the second half of the channels, is the variance's logarithm."""

    def concatenate(self, values: Sequence[Value]) -> Value:
        """Concatenate `values` along their last axis. A single value is returned as it is."""

    def is_finite(self, value: Value) -> bool:
        """Whether every number of `value` is finite."""

    def to_pixels(self, sample: Value) -> NDArray[np.uint8]:
        """Convert samples [batch, 3, height, width] in -1…1 to bytes [batch, height, width, 3] on the host."""

    def release(self, *values: Value) -> None:
        """Free the memory of those `values` that this object allocated."""
