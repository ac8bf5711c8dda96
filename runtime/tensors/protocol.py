"""What lies between the components of a pipeline, as operations on one kind of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value")
"""A tensor: an array of numpy, a slot on the device, or a tensor of PyTorch."""


class Tensors(Protocol[Value]):
    """Operations on values; results of arithmetic are in float32 unless the values are of another library."""

    def write(self, array: NDArray[Any]) -> Value:
        """`array` of the host."""

    def read(self, value: Value) -> NDArray[np.float32]:
        """`value` on the host, in float32."""

    def scaled(self, value: Value, factor: float) -> Value:
        """`factor`·`value`."""

    def combined(self, terms: Sequence[tuple[float, Value]]) -> Value:
        """The sum of coefficient·value, from the first term on; terms with coefficient 0 are left out."""

    def joined(self, values: Sequence[Value]) -> Value:
        """`values` side by side along their last axis; one alone is itself."""

    def finite(self, value: Value) -> bool:
        """Whether every number of `value` is finite."""

    def pixels(self, sample: Value) -> NDArray[np.uint8]:
        """Samples [batch, 3, height, width] in -1…1 in eight bits: [batch, height, width, 3]."""

    def release(self, *values: Value) -> None:
        """Give back the memory of `values` that this object made."""
