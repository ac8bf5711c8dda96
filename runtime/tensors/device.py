"""Slots on the device that graphs run on; arithmetic is small graphs there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.runtime.ort.sessions import Array
from turbo_webnn.runtime.tensors.arithmetic import Arithmetic
from turbo_webnn.runtime.tensors.slots import Slot, Slots


class DeviceTensors:
    """`Tensors` of slots. What is released is used again for the next value of the same type and shape."""

    def __init__(self, slots: Slots, arithmetic: Arithmetic) -> None:
        self._slots = slots
        self._arithmetic = arithmetic
        self._free: dict[tuple[str, tuple[int, ...]], list[Slot]] = defaultdict(list)
        self._made: set[int] = set()

    def write(self, array: Array) -> Slot:
        """A copy of `array`, in its own type."""
        slot = self._slot(array.dtype.name, array.shape)
        slot.put(array)
        return slot

    def read(self, value: Slot) -> NDArray[np.float32]:
        """A copy on the host, in float32."""
        return value.get().astype(np.float32, copy=False)

    def scaled(self, value: Slot, factor: float) -> Slot:
        """`factor`·`value`."""
        result = self._slot("float32", value.tensor.shape)
        self._arithmetic.multiply(value, factor, result)
        return result

    def combined(self, terms: Sequence[tuple[float, Slot]]) -> Slot:
        """The sum of the terms, one after another, in a new slot."""
        (coefficient, first), *others = terms
        total = self.scaled(first, coefficient)
        for coefficient, value in others:
            if coefficient:
                result = self._slot("float32", first.tensor.shape)
                self._arithmetic.add(total, value, coefficient, result)
                self.release(total)
                total = result
        return total

    def joined(self, values: Sequence[Slot]) -> Slot:
        """Along the last axis, in the type of the first."""
        if len(values) == 1:
            return values[0]
        *rows, _ = values[0].tensor.shape
        width = sum(value.tensor.shape[-1] for value in values)
        result = self._slot(values[0].tensor.dtype, (*rows, width))
        self._arithmetic.join(values, result)
        return result

    def finite(self, value: Slot) -> bool:
        """Whether every number is finite."""
        return self._arithmetic.finite(value)

    def pixels(self, sample: Slot) -> NDArray[np.uint8]:
        """In eight bits, on the host."""
        batch, channels, height, width = sample.tensor.shape
        pixels = self._slot("uint8", (batch, height, width, channels))
        self._arithmetic.pixels(sample, pixels)
        array = pixels.get()
        self.release(pixels)
        return array

    def release(self, *values: Slot) -> None:
        """Keep the slots of `values` for others, but for those at a component's boundary."""
        for value in values:
            kept = self._free[value.tensor.dtype, value.tensor.shape]
            if id(value) in self._made and value not in kept:
                kept.append(value)

    def _slot(self, dtype: str, shape: tuple[int, ...]) -> Slot:
        kept = self._free[dtype, shape]
        if kept:
            return kept.pop()
        slot = self._slots.at(f"value {len(self._made)}", dtype, shape)
        self._made.add(id(slot))
        return slot
