"""Slots: tensors on one device that are allocated once. Their addresses never change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from turbo_webnn.models.chain import Tensor
from turbo_webnn.runtime.ort.provider import as_request_errors, onnxruntime
from turbo_webnn.runtime.ort.sessions import Array
from turbo_webnn.runtime.ort.settings import Settings


@dataclass(frozen=True, eq=False)
class Slot:
    """A tensor at a fixed address. A graph that has it as output overwrites its numbers.

    Attributes:
        tensor: the name, the type and the shape.
        value: onnxruntime's OrtValue.
    """

    tensor: Tensor
    value: Any

    @np.errstate(over="ignore")  # numbers outside float16's range become infinite, and the pipeline reports them
    def put(self, array: Array) -> None:
        """Copy `array` into the slot, cast to its type.

        Raises:
            ValueError: where `array` has another shape.
        """
        if array.shape != self.tensor.shape:
            raise ValueError(f"{self.tensor.name} has shape {list(self.tensor.shape)}, not {list(array.shape)}")
        # the cast is needed: onnxruntime copies the bytes of any type without a check
        self.value.update_inplace(np.ascontiguousarray(array, self.tensor.dtype))

    def get(self) -> Array:
        """Copy the slot to the host, in its type."""
        return np.array(self.value.numpy())


class Slots:
    """Allocates slots by name, on the device of `settings`. Slots outlive the sessions that are bound to them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._allocated: dict[str, Slot] = {}

    def at(self, name: str, dtype: str, shape: tuple[int, ...]) -> Slot:
        """The slot `name`. It is allocated at the first call.

        Raises:
            RequestError: where the device has no memory left.
        """
        if name not in self._allocated:
            with as_request_errors(f"there is no room for {name}", "try --provider cpu, or a bundle of a smaller size"):
                value = onnxruntime().OrtValue.ortvalue_from_shape_and_type(
                    shape, np.dtype(dtype).type, self._settings.provider, self._settings.device
                )
            self._allocated[name] = Slot(Tensor(name, dtype, shape), value)
        slot = self._allocated[name]

        assert (slot.tensor.dtype, slot.tensor.shape) == (dtype, shape), f"{name} has two types or shapes"
        return slot

    def of(self, component: str, tensor: Tensor) -> Slot:
        """The slot of a tensor at the boundary of `component`, or between two of its graphs."""
        return self.at(f"{component}.{tensor.name}", tensor.dtype, tensor.shape)
