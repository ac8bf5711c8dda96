"""The pipelines that are served, each as the components it is made of.

Shapes and names follow the pipelines' published configs and the bundle's contract (README, "The bundle").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

from turbo_webnn.models.component import Component, DerivedDim, Size, TensorSpec
from turbo_webnn.models.configs import AutoencoderForm, ClipTextForm, SafetyCheckerForm, UnetForm
from turbo_webnn.models.errors import RequestError

TOKENS = 77
"""Length of a CLIP prompt: max_position_embeddings of every published text encoder."""

VAE_FOLDER = "vae"
"""Where a diffusers folder keeps both halves of its VAE."""

_LATENTS = ("batch", 4, "latent_height", "latent_width")
_PIXELS = ("batch", 3, "height", "width")
_INPUT_IDS = TensorSpec("input_ids", "int", ("batch", TOKENS))

_HIDDEN_STATES = TensorSpec("hidden_states", "float", ("batch", TOKENS, "hidden_size"))
_CLIP_SERVED: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("max_position_embeddings", (TOKENS,)),
    ("hidden_act", ("gelu", "quick_gelu")),
    ("text_config", (None,)),  # transformers reads the config of a whole CLIP there, and nothing beside it
)

TEXT_ENCODER = Component(
    name="text_encoder",
    module="CLIPTextModel",
    subfolder="text_encoder",
    weights_stem="model",
    form=ClipTextForm,
    inputs=(_INPUT_IDS,),
    outputs=(TensorSpec("last_hidden_state", "float", ("batch", TOKENS, "hidden_size")),),
    tokenizer="tokenizer",
    key_rules=(("", "text_model."),),  # transformers 5 saves without
    served=(*_CLIP_SERVED, ("use_attention_mask", (False, None))),
)

TEXT_ENCODER_XL = replace(TEXT_ENCODER, outputs=(_HIDDEN_STATES,), served=_CLIP_SERVED)
"""SDXL reads the states before the last layer, which nothing computes then."""

TEXT_ENCODER_2 = Component(
    name="text_encoder_2",
    module="CLIPTextModelWithProjection",
    subfolder="text_encoder_2",
    weights_stem="model",
    form=ClipTextForm,
    inputs=(_INPUT_IDS,),
    outputs=(_HIDDEN_STATES, TensorSpec("text_embeds", "float", ("batch", "projection_dim"))),
    tokenizer="tokenizer_2",
    served=_CLIP_SERVED,
)

UNET = Component(
    name="unet",
    module="UNet2DConditionModel",
    subfolder="unet",
    weights_stem="diffusion_pytorch_model",
    form=UnetForm,
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
        ("num_class_embeds", (None,)),
        ("encoder_hid_dim_type", (None,)),
        ("time_embedding_type", ("positional",)),
        ("attention_type", ("default",)),
    ),
    fed_by=("text_encoder",),
)

TIME_IDS = 6
"""Height and width of the original, top and left of the crop, height and width of the target."""


def _pooled_width(embedded: int, each: int) -> int:
    return embedded - TIME_IDS * each


UNET_XL = replace(
    UNET,
    fed_by=("text_encoder", "text_encoder_2"),
    inputs=(
        *UNET.inputs,
        TensorSpec(
            "text_embeds",
            "float",
            (
                "batch",
                DerivedDim(("projection_class_embeddings_input_dim", "addition_time_embed_dim"), _pooled_width),
            ),
        ),
        TensorSpec("time_ids", "float", ("batch", TIME_IDS)),
    ),
    served=tuple((key, ("text_time",) if key == "addition_embed_type" else values) for key, values in UNET.served),
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
    form=AutoencoderForm,
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
    form=AutoencoderForm,
    inputs=(TensorSpec("sample", "float", _PIXELS),),
    outputs=(TensorSpec("latent_sample", "float", _LATENTS),),
    served=_VAE_SERVED,
)


VAE_DECODER_XL = replace(VAE_DECODER, latent_statistics=True)
VAE_ENCODER_XL = replace(VAE_ENCODER, latent_statistics=True)
"""SDXL's pipelines read the statistics of latents that some VAEs state; SD's do not."""

SAFETY_PIXELS = 224
"""Side of the picture that CLIP's vision models read."""

SAFETY_CHECKER = Component(
    name="safety_checker",
    module="StableDiffusionSafetyChecker",
    subfolder="safety_checker",
    weights_stem="model",
    form=SafetyCheckerForm,
    inputs=(TensorSpec("clip_input", "float", ("batch", 3, SAFETY_PIXELS, SAFETY_PIXELS)),),
    outputs=(TensorSpec("has_nsfw_concepts", "int", ("batch",)),),
    key_rules=(("vision_model.", "vision_model.vision_model."),),  # transformers 5 has one module less
)


PARTS = {VAE_DECODER.subfolder: VAE_DECODER, SAFETY_CHECKER.subfolder: SAFETY_CHECKER}
"""What another source may give in place of a checkpoint's own, by subfolder."""


@dataclass(frozen=True)
class Family:
    """A pipeline class and what it is made of, in the order in which a picture passes through it.

    An `optional` component is exported where it is asked for: a checkpoint may lack it, and a pipeline draws without.

    What the text encoders give goes to the UNet by one rule: the first output of each, side by side along the last
    axis, is `encoder_hidden_states`; any further output is the UNet's input of the same name.
    """

    name: str
    pipeline: str
    components: tuple[Component, ...]
    optional: tuple[Component, ...] = (SAFETY_CHECKER,)

    def component(self, name: str) -> Component:
        """The component of that name.

        Raises:
            RequestError: where this family has none.
        """
        known = (*self.components, *self.optional)
        for component in known:
            if component.name == name:
                return component
        names = ", ".join(component.name for component in known)
        raise RequestError(f"{self.pipeline} has no component {name!r}", f"it has {names}")

    def require_agreement(self, configs: Mapping[str, Mapping[str, Any]]) -> None:
        """Refuse components whose tensors do not fit each other, as those of two checkpoints mixed.

        Args:
            configs: by component name; what is not among them is not compared.

        Raises:
            RequestError: where the UNet reads other widths than the text encoders give.
        """
        misfit = self.width_misfit(
            configs.keys(), lambda component, spec: spec.shape(Size(), configs[component.name])[-1]
        )
        if misfit is not None:
            raise RequestError(misfit, "give a checkpoint whose parts belong together")

    def width_misfit(self, present: Set[str], width: Callable[[Component, TensorSpec], int]) -> str | None:
        """Where the UNet reads states of other widths than the text encoders give, in words; None where it does not.

        Args:
            present: names of the components that are there: the UNet and the text encoders, or nothing is told.
            width: of a tensor of a component.
        """
        if not {UNET.name, *(encoder.name for encoder in self.text_encoders)} <= present:
            return None
        given = {"encoder_hidden_states": 0}
        for encoder in self.text_encoders:
            first, *further = encoder.outputs
            given["encoder_hidden_states"] += width(encoder, first)
            given |= {spec.name: width(encoder, spec) for spec in further}
        unet = self.component(UNET.name)
        for spec in unet.inputs:
            if spec.name in given and (read := width(unet, spec)) != given[spec.name]:
                return f"the text encoders give {spec.name} of width {given[spec.name]}, the UNet reads {read}"
        return None

    @property
    def text_encoders(self) -> tuple[Component, ...]:
        """The components that read text."""
        return tuple(component for component in self.components if component.tokenizer is not None)

    @property
    def tokenizers(self) -> tuple[str, ...]:
        """The folders of the tokenizers."""
        return tuple(str(component.tokenizer) for component in self.text_encoders)

    @property
    def text_to_image(self) -> tuple[str, ...]:
        """The components that a picture drawn from text passes through."""
        return (*(encoder.name for encoder in self.text_encoders), UNET.name, VAE_DECODER.name)

    @property
    def image_to_image(self) -> tuple[str, ...]:
        """The components that a picture drawn from another one passes through."""
        return (*(encoder.name for encoder in self.text_encoders), VAE_ENCODER.name, UNET.name, VAE_DECODER.name)

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
)

STABLE_DIFFUSION_XL = Family(
    name="stable-diffusion-xl",
    pipeline="StableDiffusionXLPipeline",
    components=(TEXT_ENCODER_XL, TEXT_ENCODER_2, UNET_XL, VAE_DECODER_XL, VAE_ENCODER_XL),
)

FAMILIES = (STABLE_DIFFUSION, STABLE_DIFFUSION_XL)


def time_ids(size: Size) -> tuple[float, ...]:
    """SDXL's word that the picture is asked for uncropped and in its own size.

    Source: diffusers' StableDiffusionXLPipeline._get_add_time_ids with its defaults.
    """
    return (size.height, size.width, 0.0, 0.0, size.height, size.width)


def constant_conditions(component: Component, size: Size) -> dict[str, tuple[float, ...]]:
    """The inputs of `component` that only the size decides, a row of the batch each."""
    return {"time_ids": time_ids(size)} if any(spec.name == "time_ids" for spec in component.inputs) else {}


def family_named(name: str, where: str) -> Family:
    """The family of that name; RequestError where there is none."""
    for family in FAMILIES:
        if family.name == name:
            return family
    raise RequestError(f"{where} is of the family {name!r}", f"known are {', '.join(f.name for f in FAMILIES)}")


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
