"""Functions for the parts of one library: loading modules, and shapes of weights that libraries exchange."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from turbo_webnn.models.checkpoint import Tensor


def load_transformers(module: type, folder: Path, variant: str | None, dtype: Any) -> tuple[Any, Sequence[str]]:
    """Load a module of transformers in `dtype` from `folder`; return it and the parameters that are missing there."""
    return _load(module, folder, variant, dtype=dtype)


def load_diffusers(module: type, folder: Path, variant: str | None, dtype: Any) -> tuple[Any, Sequence[str]]:
    """Load a module of diffusers in `dtype` from `folder`; return it and the parameters that are missing there.

    low_cpu_mem_usage needs accelerate and saves no memory here: float32 weights stay in memory-mapped files, and the
    peak for float16 weights is their size plus the size of the file.
    """
    return _load(module, folder, variant, torch_dtype=dtype, low_cpu_mem_usage=False)


def _load(module: Any, folder: Path, variant: str | None, **options: Any) -> tuple[Any, Sequence[str]]:
    loaded_module, loading_info = module.from_pretrained(
        folder, variant=variant, use_safetensors=True, local_files_only=True, output_loading_info=True, **options
    )
    return loaded_module, sorted(loading_info["missing_keys"])


def as_projection(stored: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`stored` in `shape` if one is a 1×1 convolution and the other a linear layer: both hold the same numbers."""
    convolution, linear = max(stored.shape, shape, key=len), min(stored.shape, shape, key=len)
    return stored.reshaped(shape) if convolution == (*linear, 1, 1) else stored


def constant_rows(numbers: Sequence[float], batch: int) -> Any:
    """A tensor with `numbers` in each row of a batch, [batch, numbers], in float32, for a trace.

    Each column is made by `torch.full`. Under fake tensors, a tensor made from a list would have no numbers.
    """
    import torch

    return torch.cat([torch.full((batch, 1), float(number)) for number in numbers], dim=1)
