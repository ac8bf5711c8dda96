"""StableDiffusionSafetyChecker: flags pictures that must not be shown, with CLIP's vision model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from turbo_webnn.models.component import Component, Size, TensorSpec
from turbo_webnn.models.parts.clip_text import CARRYING
from turbo_webnn.models.parts.forms.clip import ClipForm
from turbo_webnn.models.parts.forms.types import Dtype, Layers, Side, Width
from turbo_webnn.models.parts.libraries import load_transformers
from turbo_webnn.models.parts.part import Config, Part
from turbo_webnn.models.parts.probe_inputs import pictures
from turbo_webnn.models.parts.weight_rules import WeightRules

SAFETY_PIXELS = 224
"""The side of the pictures that CLIP's vision models read."""

_ADJUSTMENT = 0.01
"""Added to every score of a picture that shows one of the special concepts (StableDiffusionSafetyChecker)."""


@dataclass(frozen=True)
class ClipVisionForm(ClipForm):
    """The config of the vision model inside of StableDiffusionSafetyChecker.

    Raises:
        ValueError: as `ClipForm`, or if it does not read RGB pictures of `SAFETY_PIXELS`.
    """

    hidden_size: Width = 768
    intermediate_size: Width = 3072
    num_hidden_layers: Layers = 12
    num_attention_heads: Width = 12
    image_size: Side = 224
    patch_size: Side = 32
    num_channels: Width = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.image_size, self.num_channels) != (SAFETY_PIXELS, 3):
            wrong = f"it reads {self.num_channels} channels of {self.image_size} pixels along each side"
            raise ValueError(f"{wrong}, served are 3 of {SAFETY_PIXELS}")


@dataclass(frozen=True)
class SafetyCheckerForm:
    """The config of StableDiffusionSafetyChecker."""

    projection_dim: Width = 512
    vision_config: ClipVisionForm = field(default_factory=ClipVisionForm)
    vision_config_dict: ClipVisionForm | None = None  # in configs of 2022; transformers prefers its values
    dtype: Dtype = None
    torch_dtype: Dtype = None


@dataclass(frozen=True)
class SafetyChecker(Part):
    """StableDiffusionSafetyChecker."""

    module = "StableDiffusionSafetyChecker"
    noun = "safety checker"
    weights_stem = "model"
    form = SafetyCheckerForm
    key_rules = (("vision_model.", "vision_model.vision_model."),)  # transformers 5 has one module less
    weights = WeightRules(fine=((), CARRYING))

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Pictures as CLIP's image processor prepares them."""
        return (TensorSpec("clip_input", "float", ("batch", 3, SAFETY_PIXELS, SAFETY_PIXELS)),)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """1 for each picture that must not be shown."""
        return (TensorSpec("has_nsfw_concepts", "int", ("batch",)),)

    def build(self, config: Config) -> Any:
        """The module in float32, with scaled dot product attention."""
        import torch
        from transformers import CLIPConfig

        clip = CLIPConfig(**config)
        # set on the inner config, because the class itself does not accept sdpa
        clip.vision_config._attn_implementation = "sdpa"
        return _class()._from_config(clip, dtype=torch.float32).eval()

    def preload(self) -> None:
        """Import the class."""
        _class()

    def load(self, folder: Path, variant: str | None, dtype: Any) -> tuple[Any, Sequence[str]]:
        """Load the module with transformers."""
        return load_transformers(_class(), folder, variant, dtype)

    def prepare(self, module: Any) -> Any:
        """Make the module read all positions: its position ids are a buffer, without numbers under fake tensors."""
        embeddings = module.vision_model.embeddings
        embeddings.position_embedding = _all_positions(embeddings.position_embedding.weight)
        return module

    def trace(self, module: Any, component: Component, size: Size, clip_input: Any) -> Any:
        """1 for each picture that must not be shown, [batch], as diffusers' forward_onnx decides.

        WebNN has no reduction of booleans, so the largest score is compared instead of each score.
        """
        import torch

        embeds = module.visual_projection(module.vision_model(clip_input)[1])  # [batch, width]
        special_scores = _cosines(embeds, module.special_care_embeds) - module.special_care_embeds_weights
        adjustment = (special_scores.amax(dim=1, keepdim=True) > 0).to(special_scores.dtype) * _ADJUSTMENT
        scores = _cosines(embeds, module.concept_embeds) - module.concept_embeds_weights + adjustment
        return (scores.amax(dim=1) > 0).to(torch.int32)

    def reference(self, module: Any, component: Component, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Decide as diffusers' forward_onnx does. The pictures that it would blacken are empty here."""
        clip_input = inputs["clip_input"]
        empty = clip_input.new_zeros(len(clip_input), 1, 1, 3)
        return (module.forward_onnx(clip_input, empty)[1].int(),)

    def probe(self, spec: TensorSpec, shape: tuple[int, ...], config: Config) -> Any:
        """Two pictures."""
        return pictures(shape)


def _all_positions(weight: Any) -> Any:
    """A module that returns the whole position embedding `weight` for any positions."""
    from torch import nn

    class AllPositions(nn.Module):  # type: ignore[misc]  # torch is untyped here
        def __init__(self) -> None:
            super().__init__()
            self.weight = weight

        def forward(self, _positions: Any) -> Any:
            return self.weight.unsqueeze(0)

    return AllPositions()


def _cosines(embeds: Any, concepts: Any) -> Any:
    """The cosines of the angles between the rows of both, [batch, concepts]."""
    from torch import nn

    return nn.functional.normalize(embeds) @ nn.functional.normalize(concepts).t()


def _class() -> Any:
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    return StableDiffusionSafetyChecker
