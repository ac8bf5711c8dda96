"""The names of the original checkpoints (CompVis, Stability AI, OpenCLIP), converted by diffusers' own functions.

Single files have these names. diffusers' folders have current names, or older names of diffusers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from turbo_webnn.models.checkpoint import Tensor
from turbo_webnn.models.errors import LIBRARY_ERRORS
from turbo_webnn.models.parts.stand_in import convert

_RESBLOCKS = "transformer.resblocks."
"""In the names of OpenCLIP's layers."""


def rename_diffusers(module: Any, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors under the current parameter names of `module`, a module of diffusers.

    The names are diffusers' current ones, its older ones, or those of the original checkpoints: the interpretation
    that gives most of the module's parameters is chosen.

    Args:
        module: on the meta device or with fake tensors.
        tensors: the tensors by their names in the checkpoint.
    """
    # diffusers' function takes a state dict and moves its values, of any type, to the newer names
    current = dict(module._fix_state_dict_keys_on_load(OrderedDict(tensors)))
    expected = module.state_dict().keys()
    if expected <= current.keys():
        return current
    return max(current, _from_original(module, tensors), key=lambda named: len(expected & named.keys()))


def _from_original(module: Any, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors under the current names, if `tensors` have the original ones; otherwise few or none."""
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES
    from diffusers.loaders.single_file_utils import LDM_UNET_KEY

    served = SINGLE_FILE_LOADABLE_CLASSES.get(type(module).__name__)
    if served is None:
        return {}
    # a UNet alone may come without the prefix, which the converter requires
    prefix = LDM_UNET_KEY if "input_blocks.0.0.weight" in tensors else ""
    prefixed = {prefix + name: tensor for name, tensor in tensors.items()}
    mapping = served["checkpoint_mapping_fn"]
    try:
        return convert(lambda checkpoint: mapping(checkpoint=checkpoint, config=module.config), prefixed)
    except (*LIBRARY_ERRORS, NotImplementedError):
        return {}  # the caller names a parameter that is missing


def rename_clip(module: Any, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The tensors under names of transformers; unchanged if they have these names already.

    Args:
        module: a text encoder of transformers, on the meta device or with fake tensors.
        tensors: the tensors by their names in the checkpoint.
    """
    from diffusers.loaders.single_file_utils import (
        LDM_CLIP_PREFIX_TO_REMOVE,
        convert_ldm_clip_checkpoint,
        convert_open_clip_checkpoint,
    )

    layer = next((name for name in tensors if _RESBLOCKS in name), None)
    try:
        if layer is not None:
            prefix = layer[: layer.index(_RESBLOCKS)]
            return convert(lambda checkpoint: convert_open_clip_checkpoint(module, checkpoint, prefix), tensors)
        if any(name.startswith(prefix) for name in tensors for prefix in LDM_CLIP_PREFIX_TO_REMOVE):
            return convert(convert_ldm_clip_checkpoint, tensors)
    except (*LIBRARY_ERRORS, NotImplementedError):
        return {}  # the caller names a parameter that is missing
    return tensors


def ignored_clip_names() -> frozenset[str]:
    """The names that diffusers ignores in Stable Diffusion 2's OpenCLIP: its last layer, which no pipeline uses."""
    from diffusers.loaders.single_file_utils import SD_2_TEXT_ENCODER_KEYS_TO_IGNORE

    return frozenset(SD_2_TEXT_ENCODER_KEYS_TO_IGNORE)
