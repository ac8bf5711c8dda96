"""Places for tensors on one device, each allocated once: what is bound to it never moves."""

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
    """One place. Whoever runs a graph into it overwrites what was there."""

    tensor: Tensor
    value: Any

    @np.errstate(over="ignore")  # what leaves float16's range becomes infinite, and is told by the pipeline
    def put(self, array: Array) -> None:
        """Copy `array` here, cast to the slot's type.

        Raises:
            ValueError: where it is of another shape.
        """
        if array.shape != self.tensor.shape:
            raise ValueError(f"{self.tensor.name} has shape {list(self.tensor.shape)}, not {list(array.shape)}")
        # onnxruntime would copy the bytes of any type
        self.value.update_inplace(np.ascontiguousarray(array, self.tensor.dtype))

    def get(self) -> Array:
        """A copy on the host, in the slot's type."""
        return np.array(self.value.numpy())


class Slots:
    """Slots by name, on the device of `settings`. They outlive the sessions that are bound to them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held: dict[str, Slot] = {}

    def at(self, name: str, dtype: str, shape: tuple[int, ...]) -> Slot:
        """The slot of that name, which is allocated when it is first asked for.

        Raises:
            RequestError: where the device has no memory left.
        """
        if name not in self._held:
            with as_request_errors(f"there is no room for {name}", "try --provider cpu, or a bundle of a smaller size"):
                value = onnxruntime().OrtValue.ortvalue_from_shape_and_type(
                    shape, np.dtype(dtype).type, self._settings.provider, self._settings.device
                )
            self._held[name] = Slot(Tensor(name, dtype, shape), value)
        slot = self._held[name]
        assert (slot.tensor.dtype, slot.tensor.shape) == (dtype, shape), f"{name} has two types or shapes"
        return slot

    def of(self, component: str, tensor: Tensor) -> Slot:
        """The slot of a tensor at the boundary of `component`, or between two of its graphs."""
        return self.at(f"{component}.{tensor.name}", tensor.dtype, tensor.shape)
