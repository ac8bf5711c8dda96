"""What parts of one library have in common: loading, and diffusers' renaming of older parameter names."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from turbo_webnn.models.checkpoint import StoredTensor


def load_transformers(module: type, folder: Path, variant: str | None, dtype: Any) -> tuple[Any, Sequence[str]]:
    """A module of transformers in `dtype` from `folder`, and the parameters that were missing there."""
    return _load(module, folder, variant, dtype=dtype)


def load_diffusers(module: type, folder: Path, variant: str | None, dtype: Any) -> tuple[Any, Sequence[str]]:
    """A module of diffusers in `dtype` from `folder`, and the parameters that were missing there.

    low_cpu_mem_usage needs accelerate and lowers nothing here: float32 weights stay mapped files, and the peak of
    float16 ones is theirs and the file's.
    """
    return _load(module, folder, variant, torch_dtype=dtype, low_cpu_mem_usage=False)


def _load(module: Any, folder: Path, variant: str | None, **options: Any) -> tuple[Any, Sequence[str]]:
    loaded, information = module.from_pretrained(
        folder, variant=variant, use_safetensors=True, local_files_only=True, output_loading_info=True, **options
    )
    return loaded, sorted(information["missing_keys"])


def current_keys(module: Any, tensors: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """The tensors of a checkpoint of diffusers under the names that `module` has today.

    diffusers asks for a state dict and moves its values, whatever they are, to their newer names.
    """
    return dict(module._fix_state_dict_keys_on_load(OrderedDict(tensors)))


def row(numbers: Sequence[float], batch: int) -> Any:
    """`numbers` as each row of a batch, [batch, numbers], in float32, for a trace.

    They are made one by one: a tensor made of numbers would be a parameter without any, under fake tensors.
    """
    import torch

    return torch.cat([torch.full((batch, 1), float(number)) for number in numbers], dim=1)
