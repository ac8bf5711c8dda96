"""The torch modules of the components, built from their configs. Imported only where torch is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from huggingface_hub.errors import StrictDataclassError
from transformers import CLIPConfig, CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from models.component import Component
from models.errors import RequestError

_TEXT_MODELS = {each.__name__: each for each in (CLIPTextModel, CLIPTextModelWithProjection)}
_DIFFUSION_MODELS = {each.__name__: each for each in (AutoencoderKL, UNet2DConditionModel)}

_REFUSALS = (StrictDataclassError, ArithmeticError, LookupError, TypeError, ValueError, RuntimeError)
"""What the libraries raise on a config that makes no module: they check some of its values, and use the others."""


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
    except _REFUSALS as error:
        raise RequestError(f"the config of {component.name} makes no {component.module}: {error}") from error
    return module.eval()
