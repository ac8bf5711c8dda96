"""`Tensors` as tensors of PyTorch on one device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


class TorchTensors:
    """`Tensors` as tensors of PyTorch. Floats have the type `dtype`, integers int64."""

    def __init__(self, device: str, dtype: Any) -> None:
        self._device, self._dtype = device, dtype

    def write(self, array: NDArray[Any]) -> Any:
        """Copy `array` to the device."""
        tensor = torch.as_tensor(array)
        return tensor.to(self._device, self._dtype if tensor.is_floating_point() else torch.int64)

    def read(self, value: Any) -> NDArray[np.float32]:
        """Copy `value` to the host, in float32."""
        array: NDArray[np.float32] = value.float().cpu().numpy()
        return array

    def scale(self, value: Any, factor: float) -> Any:
        """Compute `factor`·`value`, in the type of `value`."""
        return value * factor

    def weighted_sum(self, terms: Sequence[tuple[float, Any]]) -> Any:
        """Add coefficient·value of each term."""
        return sum(coefficient * value for coefficient, value in terms if coefficient)

    def mean(self, moments: Any) -> Any:
        """The first half of the channels."""
        return moments.chunk(2, dim=1)[0]

    def sample(self, moments: Any, noise: Any) -> Any:
        """Compute mean + exp(v / 2)·noise."""
        mean, log_variance = moments.chunk(2, dim=1)
        return mean + torch.exp(0.5 * log_variance) * noise

    def concatenate(self, values: Sequence[Any]) -> Any:
        """Concatenate along the last axis."""
        return values[0] if len(values) == 1 else torch.cat(list(values), dim=-1)

    def is_finite(self, value: Any) -> bool:
        """Whether every number of `value` is finite."""
        return bool(torch.isfinite(value).all())

    def to_pixels(self, sample: Any) -> NDArray[np.uint8]:
        """Convert `sample` to bytes on the host."""
        pixels = (sample.float() / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1)
        array: NDArray[np.uint8] = pixels.contiguous().cpu().numpy()
        return array

    def release(self, *values: Any) -> None:
        """Do nothing: PyTorch's allocator manages the memory."""
