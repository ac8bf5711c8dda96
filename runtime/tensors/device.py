"""`Tensors` in slots on the device of the graphs. Small graphs on the device do the arithmetic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.runtime.ort.sessions import Array
from turbo_webnn.runtime.tensors.arithmetic import Arithmetic
from turbo_webnn.runtime.tensors.slots import Slot, Slots


class DeviceTensors:
    """`Tensors` in slots. A released slot is reused for the next value of the same type and shape."""

    def __init__(self, slots: Slots, arithmetic: Arithmetic) -> None:
        self._slots = slots
        self._arithmetic = arithmetic
        self._free: dict[tuple[str, tuple[int, ...]], list[Slot]] = defaultdict(list)
        self._own_slots: set[int] = set()  # ids of the slots that this object allocated

    def write(self, array: Array) -> Slot:
        """Copy `array` into a slot of the same type."""
        slot = self._slot(array.dtype.name, array.shape)
        slot.put(array)
        return slot

    def read(self, value: Slot) -> NDArray[np.float32]:
        """Copy `value` to the host, in float32."""
        return value.get().astype(np.float32, copy=False)

    def scale(self, value: Slot, factor: float) -> Slot:
        """Compute `factor`·`value`."""
        result = self._slot("float32", value.tensor.shape)
        self._arithmetic.multiply(value, factor, result)
        return result

    def weighted_sum(self, terms: Sequence[tuple[float, Slot]]) -> Slot:
        """Add coefficient·value of each term, in order, into a new slot."""
        (coefficient, first), *others = terms
        added = [(factor, value) for factor, value in others if factor]
        as_it_is = coefficient == 1 and first.tensor.dtype == "float32" and added
        total = first if as_it_is else self.scale(first, coefficient)
        for factor, value in added:
            result = self._slot("float32", first.tensor.shape)
            self._arithmetic.add(total, value, factor, result)
            if total is not first:
                self.release(total)
            total = result
        return total

    def mean(self, moments: Slot) -> Slot:
        """The first half of the channels."""
        result = self._half(moments)
        self._arithmetic.mean(moments, result)
        return result

    def sample(self, moments: Slot, noise: Slot) -> Slot:
        """Compute mean + exp(v / 2)·noise."""
        result = self._half(moments)
        self._arithmetic.sample(moments, noise, result)
        return result

    def concatenate(self, values: Sequence[Slot]) -> Slot:
        """Concatenate along the last axis, in the type of the first value."""
        if len(values) == 1:
            return values[0]
        *rows, _ = values[0].tensor.shape
        width = sum(value.tensor.shape[-1] for value in values)
        result = self._slot(values[0].tensor.dtype, (*rows, width))
        self._arithmetic.concatenate(values, result)
        return result

    def is_finite(self, value: Slot) -> bool:
        """Whether every number of `value` is finite."""
        return self._arithmetic.is_finite(value)

    def to_pixels(self, sample: Slot) -> NDArray[np.uint8]:
        """Convert `sample` to bytes on the host."""
        batch, channels, height, width = sample.tensor.shape
        pixels = self._slot("uint8", (batch, height, width, channels))
        self._arithmetic.to_pixels(sample, pixels)
        array = pixels.get()
        self.release(pixels)
        return array

    def release(self, *values: Slot) -> None:
        """Mark the slots of `values` as free. Slots at a component's boundary stay in use."""
        for value in values:
            free = self._free[value.tensor.dtype, value.tensor.shape]
            if id(value) in self._own_slots and value not in free:
                free.append(value)

    def _half(self, moments: Slot) -> Slot:
        """A slot with half the channels of `moments`."""
        batch, channels, height, width = moments.tensor.shape
        return self._slot("float32", (batch, channels // 2, height, width))

    def _slot(self, dtype: str, shape: tuple[int, ...]) -> Slot:
        free = self._free[dtype, shape]
        if free:
            return free.pop()
        slot = self._slots.at(f"value {len(self._own_slots)}", dtype, shape)
        self._own_slots.add(id(slot))
        return slot
