"""optimum's ORTStableDiffusionPipeline and ORTStableDiffusionXLPipeline: a diffusers folder of ONNX graphs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from turbo_webnn.models.component import Component, TensorSpec
from turbo_webnn.models.families.stable_diffusion import STABLE_DIFFUSION
from turbo_webnn.models.families.stable_diffusion_xl import STABLE_DIFFUSION_XL
from turbo_webnn.models.layouts.layout import TOKENIZER_FILES, Layout, Place, Port
from turbo_webnn.models.layouts.posterior import with_moments


def _all_states(component: Component, config: Mapping[str, Any]) -> dict[str, TensorSpec]:
    """The final states and the input states of each layer. The contract's states are the input of the last layer.

    The pooled embeddings, if there are any, come first: diffusers finds them by their position.
    """
    states, *pooled = component.outputs
    last_layer = config["num_hidden_layers"] - 1
    named = [
        replace(states, name=name) for name in ("last_hidden_state", *(f"hidden_states.{i}" for i in range(last_layer)))
    ]
    outputs = {spec.name: spec for spec in (*pooled, *named)}
    return {**outputs, states.name: replace(states, name=f"hidden_states.{last_layer}")}


_UNET = Place("unet/model.onnx", {"timestep": Port("timestep", scalar=True)})

_VAE = {
    "vae_decoder": Place("vae_decoder/model.onnx"),
    "vae_encoder": with_moments(Place("vae_encoder/model.onnx"), "first_half"),
}

_STABLE_DIFFUSION = Layout(
    "optimum",
    STABLE_DIFFUSION.name,
    {"text_encoder": Place("text_encoder/model.onnx"), "unet": _UNET, **_VAE},
    # its version of transformers (below 4.58) has a tokenizer that reads these two files
    tokenizer_files=(*TOKENIZER_FILES, "vocab.json", "merges.txt"),
    diffusers_files=True,
)

_XL = replace(
    _STABLE_DIFFUSION,
    family=STABLE_DIFFUSION_XL.name,
    places={
        "text_encoder": Place("text_encoder/model.onnx", outputs=_all_states),
        "text_encoder_2": Place("text_encoder_2/model.onnx", outputs=_all_states),
        "unet": _UNET,
        **_VAE,
    },
)

OPTIMUM = (_STABLE_DIFFUSION, _XL)
