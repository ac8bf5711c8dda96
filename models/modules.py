"""The torch modules of the components, built from their configs. Imported only where torch is at hand."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from huggingface_hub.errors import StrictDataclassError
from transformers import CLIPConfig, CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from turbo_webnn.models.checkpoint import Checkpoint, StoredTensor
from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import LIBRARY_ERRORS, RequestError
from turbo_webnn.models.printable import printable

_TEXT_MODELS = {each.__name__: each for each in (CLIPTextModel, CLIPTextModelWithProjection)}
_DIFFUSION_MODELS = {each.__name__: each for each in (AutoencoderKL, UNet2DConditionModel)}

_HARMLESS = re.compile(r"(^|\.)(position_ids|num_batches_tracked)$")
"""Buffers that older libraries saved and newer ones make anew: they say nothing that a config does not."""


def matched(component: Component, module: torch.nn.Module, checkpoint: Checkpoint) -> Checkpoint:
    """`checkpoint` with its tensors under the names that `component.keys` gives, the published form first.

    Older names are brought up to date by the library's own rules, and a VAE's attention from 1×1 convolutions to linear
    layers. Nothing is read.

    Args:
        component: the component that the checkpoint holds.
        module: of `component`, on the meta device or fake.
        checkpoint: its tensors, unread.

    Raises:
        RequestError: names a tensor that no parameter of the module reads, because the config is of another model or
            the file has the parameter under two names: the picture would be another too.
    """
    tensors = dict(checkpoint.tensors)
    is_vae = isinstance(module, AutoencoderKL)
    if isinstance(module, ModelMixin):
        # diffusers asks for a state dict and moves its values to their newer names, whatever they are
        tensors = dict(module._fix_state_dict_keys_on_load(OrderedDict(tensors)))
    ours: dict[str, StoredTensor] = {}
    for name, parameter in module.state_dict().items():
        keys = component.keys(name)
        key = next((key for key in keys if key in tensors), None)
        if key is not None:
            ours[keys[0]] = _linear(name, tensors[key], parameter) if is_vae else tensors[key]
    read = {stored.name for stored in ours.values()}
    patterns = [*(getattr(module, "_keys_to_ignore_on_load_unexpected", None) or ()), _HARMLESS]
    unread = [
        name for name in checkpoint.tensors.keys() - read if not any(re.search(pattern, name) for pattern in patterns)
    ]
    if unread:
        more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
        raise RequestError(
            f"{checkpoint.where} holds {printable(min(unread))}{more}, which the config of {component.name} has no "
            f"place for",
            "give the config that the weights were saved with",
        )
    return Checkpoint(checkpoint.where, ours)


def _linear(name: str, stored: StoredTensor, parameter: torch.Tensor) -> StoredTensor:
    """`stored` as a linear layer's weight, where it is the 1×1 convolution that older VAEs attend by."""
    is_convolution = ".attentions." in name and stored.shape == (*parameter.shape, 1, 1)
    return replace(stored, shape=tuple(parameter.shape)) if is_convolution else stored


def build(component: Component, config: Mapping[str, Any]) -> torch.nn.Module:
    """The component's module in eval mode, its parameters made by whatever torch mode is active.

    Under `FakeTensorMode` or the `meta` device no parameter takes memory.

    Raises:
        RequestError: where the library cannot build a module from `config`.
    """
    try:
        if component.module in _TEXT_MODELS:
            # a published config names the type that it was saved in, which is not the type that we trace in
            module = _TEXT_MODELS[component.module]._from_config(
                CLIPTextConfig(**config), attn_implementation="sdpa", dtype=torch.float32
            )
        elif component.module == "StableDiffusionSafetyChecker":
            held = CLIPConfig(**config)
            # only what is inside can be asked: the class itself says that it knows no sdpa
            held.vision_config._attn_implementation = "sdpa"
            module = StableDiffusionSafetyChecker._from_config(held, dtype=torch.float32)
        else:
            module = _DIFFUSION_MODELS[component.module].from_config(dict(config))
    except (*LIBRARY_ERRORS, StrictDataclassError) as error:
        raise RequestError(f"the config of {component.name} makes no {component.module}: {error}") from error
    return module.eval()
