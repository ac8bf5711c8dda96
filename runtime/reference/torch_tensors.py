"""Tensors of PyTorch on one device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


class TorchTensors:
    """`Tensors` of PyTorch; floats are of `dtype`, whole numbers of int64."""

    def __init__(self, device: str, dtype: Any) -> None:
        self._device, self._dtype = device, dtype

    def write(self, array: NDArray[Any]) -> Any:
        """`array` on the device."""
        tensor = torch.as_tensor(array)
        return tensor.to(self._device, self._dtype if tensor.is_floating_point() else torch.int64)

    def read(self, value: Any) -> NDArray[np.float32]:
        """`value` on the host, in float32."""
        array: NDArray[np.float32] = value.float().cpu().numpy()
        return array

    def scaled(self, value: Any, factor: float) -> Any:
        """`factor`·`value`, in the type of `value`."""
        return value * factor

    def combined(self, terms: Sequence[tuple[float, Any]]) -> Any:
        """The sum of the terms."""
        return sum(coefficient * value for coefficient, value in terms if coefficient)

    def joined(self, values: Sequence[Any]) -> Any:
        """Along the last axis."""
        return values[0] if len(values) == 1 else torch.cat(list(values), dim=-1)

    def finite(self, value: Any) -> bool:
        """Whether every number is finite."""
        return bool(torch.isfinite(value).all())

    def pixels(self, sample: Any) -> NDArray[np.uint8]:
        """In eight bits, on the host."""
        pixels = (sample.float() / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1)
        array: NDArray[np.uint8] = pixels.contiguous().cpu().numpy()
        return array

    def release(self, *values: Any) -> None:
        """Nothing: PyTorch keeps the memory itself."""
