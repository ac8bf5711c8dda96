"""The pipelines that are served, each as the components it is made of.

Shapes and names follow the pipelines' published configs and the bundle's contract (README, "The bundle").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from models.component import Component, TensorSpec
from models.errors import RequestError

TOKENS = 77
"""Length of a CLIP prompt: max_position_embeddings of every published text encoder."""

VAE_FOLDER = "vae"
"""Where a diffusers folder keeps both halves of its VAE."""

_LATENTS = ("batch", 4, "latent_height", "latent_width")
_PIXELS = ("batch", 3, "height", "width")
_INPUT_IDS = TensorSpec("input_ids", "int", ("batch", TOKENS))

TEXT_ENCODER = Component(
    name="text_encoder",
    module="CLIPTextModel",
    subfolder="text_encoder",
    weights_stem="model",
    inputs=(_INPUT_IDS,),
    outputs=(TensorSpec("last_hidden_state", "float", ("batch", TOKENS, "hidden_size")),),
    key_prefixes=("text_model.", ""),  # transformers 5 saves without
    served=(("max_position_embeddings", (TOKENS,)), ("hidden_act", ("gelu", "quick_gelu"))),
)

UNET = Component(
    name="unet",
    module="UNet2DConditionModel",
    subfolder="unet",
    weights_stem="diffusion_pytorch_model",
    inputs=(
        TensorSpec("sample", "float", _LATENTS),
        TensorSpec("timestep", "float", (1,)),
        TensorSpec("encoder_hidden_states", "float", ("batch", TOKENS, "cross_attention_dim")),
    ),
    outputs=(TensorSpec("out_sample", "float", _LATENTS),),
    served=(
        ("in_channels", (4,)),
        ("out_channels", (4,)),
        ("addition_embed_type", (None,)),
        ("class_embed_type", (None,)),
        ("encoder_hid_dim_type", (None,)),
        ("time_embedding_type", ("positional",)),
        ("attention_type", ("default",)),
    ),
    fed_by=("text_encoder",),
)

_VAE_SERVED: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("latent_channels", (4,)),
    ("in_channels", (3,)),
    ("out_channels", (3,)),
)

VAE_DECODER = Component(
    name="vae_decoder",
    module="AutoencoderKL",
    subfolder=VAE_FOLDER,
    weights_stem="diffusion_pytorch_model",
    inputs=(TensorSpec("latent_sample", "float", _LATENTS),),
    outputs=(TensorSpec("sample", "float", _PIXELS),),
    served=_VAE_SERVED,
    fed_by=("vae_encoder",),
)

VAE_ENCODER = Component(
    name="vae_encoder",
    module="AutoencoderKL",
    subfolder=VAE_FOLDER,
    weights_stem="diffusion_pytorch_model",
    inputs=(TensorSpec("sample", "float", _PIXELS),),
    outputs=(TensorSpec("latent_sample", "float", _LATENTS),),
    served=_VAE_SERVED,
)


@dataclass(frozen=True)
class Family:
    """A pipeline class and what it is made of, in the order in which a picture passes through it."""

    name: str
    pipeline: str
    components: tuple[Component, ...]
    tokenizers: tuple[str, ...]

    def component(self, name: str) -> Component:
        """The component of that name.

        Raises:
            RequestError: where this family has none.
        """
        for component in self.components:
            if component.name == name:
                return component
        names = ", ".join(component.name for component in self.components)
        raise RequestError(f"{self.pipeline} has no component {name!r}", f"it has {names}")

    def chosen(self, names: Iterable[str], *, fed: bool = False) -> tuple[Component, ...]:
        """The components of `names`, or all where none is named; where `fed`, also those that feed them.

        Raises:
            RequestError: where this family lacks one.
        """
        chosen = {name: self.component(name) for name in names}
        pending = list(chosen.values()) if fed else []
        while pending:
            feeders = [self.component(name) for name in pending.pop().fed_by if name not in chosen]
            chosen |= {component.name: component for component in feeders}
            pending += feeders
        return tuple(chosen.values()) or self.components


STABLE_DIFFUSION = Family(
    name="stable-diffusion",
    pipeline="StableDiffusionPipeline",
    components=(TEXT_ENCODER, UNET, VAE_DECODER, VAE_ENCODER),
    tokenizers=("tokenizer",),
)

FAMILIES = (STABLE_DIFFUSION,)


def family_of(model_index: Mapping[str, Any], where: str) -> Family:
    """The family of a checkpoint, by the pipeline class that its `model_index.json` names.

    Raises:
        RequestError: where no family serves that class.
    """
    found = model_index.get("_class_name")
    for family in FAMILIES:
        if family.pipeline == found:
            return family
    served = ", ".join(family.pipeline for family in FAMILIES)
    wrong = f"{where} names no pipeline class" if found is None else f"{where} holds a {found}"
    raise RequestError(wrong, f"served are {served}")
