"""UNet2DConditionModel: the denoiser of Stable Diffusion and Stable Diffusion XL."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from turbo_webnn.models.component import Component, DerivedDim, Size, TensorSpec
from turbo_webnn.models.parts.forms.unet_2d_condition import UnetForm
from turbo_webnn.models.parts.libraries import as_projection, constant_rows, load_diffusers
from turbo_webnn.models.parts.original_names import rename_diffusers
from turbo_webnn.models.parts.part import Config, Part, ServedValues
from turbo_webnn.models.parts.probe_inputs import coarse_latents, seeded_generator
from turbo_webnn.models.parts.weight_rules import WeightRules

if TYPE_CHECKING:
    from turbo_webnn.models.checkpoint import Tensor

TIME_IDS = 6
"""Height and width of the original, top and left of the crop, height and width of the target."""

GUIDANCE = 0.0
"""The guidance scale of turbo models, which use no guidance."""

TIMESTEPS = (999.0, 249.0)
"""The first and the last timestep of a turbo model, one for each sample of the probe."""

SIGMAS = (14.6146, 0.6932)
"""The sigmas of `TIMESTEPS` in the scaled_linear schedule, which every served scheduler has."""

_STEERING = ("time_embedding.linear", "add_embedding.linear")
"""These layers give one vector that all blocks read. They get 8 bits, and have a thousandth of the bytes."""


def _pooled_width(embedded: int, per_number: int) -> int:
    """The width of the text embeddings: that of the whole embedding without the embedded time ids."""
    return embedded - TIME_IDS * per_number


@dataclass(frozen=True)
class UNet2DCondition(Part):
    """UNet2DConditionModel.

    Attributes:
        tokens: the number of text states that it attends to.
        channels: the channels of the latents.
        text_time: whether it also reads the text's embedding and the picture's size, as SDXL's UNet does.
    """

    tokens: int
    text_time: bool = False
    channels: int = 4

    module = "UNet2DConditionModel"
    noun = "UNet"
    weights_stem = "diffusion_pytorch_model"
    called = "forward"
    form = UnetForm
    # All inputs and outputs go through the first and the last convolution, which are small. The first and the last
    # block get twice the bits: with 8 bits in them and 4 bits in the rest, the prediction at the first timestep had
    # 64 dB instead of 25.
    weights = WeightRules(
        kept=("conv_in.weight", "conv_out.weight"),
        doubled=("down_blocks.0.",),
        blocks="up_blocks",
        fine=(_STEERING, ()),
        emphasis=1.0,  # with so many weights, noise in one of them has little effect
    )

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Scaled latents, the timestep, and the conditions."""
        base = (
            TensorSpec("sample", "float", ("batch", self.channels, "latent_height", "latent_width")),
            TensorSpec("timestep", "float", (1,)),
            TensorSpec("encoder_hidden_states", "float", ("batch", self.tokens, "cross_attention_dim")),
        )
        if not self.text_time:
            return base
        pooled = DerivedDim(("projection_class_embeddings_input_dim", "addition_time_embed_dim"), _pooled_width)
        return (
            *base,
            TensorSpec("text_embeds", "float", ("batch", pooled)),
            TensorSpec("time_ids", "float", ("batch", TIME_IDS)),
        )

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The prediction, of the latents' shape."""
        return (TensorSpec("out_sample", "float", ("batch", self.channels, "latent_height", "latent_width")),)

    @property
    def served(self) -> ServedValues:
        """The config values that the graph needs."""
        return (
            ("in_channels", (self.channels,)),
            ("out_channels", (self.channels,)),
            ("addition_embed_type", ("text_time" if self.text_time else None,)),
            ("class_embed_type", (None,)),
            ("num_class_embeds", (None,)),
            ("encoder_hid_dim", (None,)),
            ("encoder_hid_dim_type", (None,)),
            ("time_embedding_type", ("positional",)),
            ("attention_type", ("default",)),
            # diffusers itself raises errors for other values of these
            ("num_attention_heads", (None,)),
            ("dual_cross_attention", (False, None)),
            ("class_embeddings_concat", (False, None)),
        )

    def build(self, config: Config) -> Any:
        """The module in float32."""
        return _class().from_config(dict(config)).eval()

    def renamed(self, module: Any, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors, renamed by diffusers' rules."""
        return rename_diffusers(module, tensors)

    def adapted(self, name: str, stored: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The tensor in `shape`: projections around attention are 1×1 convolutions in SD 1.x, later linear layers."""
        return as_projection(stored, shape) if ".proj_in." in name or ".proj_out." in name else stored

    def preload(self) -> None:
        """Import the class."""
        _class()

    def load(self, folder: Path, variant: str | None, dtype: Any) -> tuple[Any, Sequence[str]]:
        """Load the module with diffusers."""
        return load_diffusers(_class(), folder, variant, dtype)

    def trace(self, module: Any, component: Component, size: Size, sample: Any, timestep: Any, *conditions: Any) -> Any:
        """The noise predicted for the first input, in its shape."""
        names = [spec.name for spec in component.inputs[2:]]
        added = dict(zip(names, conditions, strict=True))
        states = added.pop("encoder_hidden_states")
        if self.text_time and "time_ids" not in added:
            added["time_ids"] = constant_rows(time_ids(size), size.batch)  # [batch, 6]
        guidance = guidance_embedding(module.config)
        cond = None if guidance is None else constant_rows(guidance, sample.shape[0])  # [batch, time_cond_proj_dim]
        return module(sample, timestep, states, timestep_cond=cond, added_cond_kwargs=added, return_dict=False)[0]

    def reference(self, module: Any, component: Component, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Call the module as both pipelines do."""
        conditions = dict(inputs)
        sample, timestep = conditions.pop("sample"), conditions.pop("timestep")
        states = conditions.pop("encoder_hidden_states")
        guidance = guidance_embedding(module.config)
        cond = None if guidance is None else sample.new_tensor([guidance] * len(sample))
        output: tuple[Any, ...] = module(
            sample, timestep, states, timestep_cond=cond, added_cond_kwargs=conditions, return_dict=False
        )
        return output

    def observed(
        self, module: Any, component: Component, arguments: Sequence[Any], named: Mapping[str, Any], result: Any
    ) -> tuple[Mapping[str, Any], tuple[Any, ...]]:
        """Both pipelines give latents and timestep by position, and the rest by name."""
        sample, timestep = arguments
        inputs = {"sample": sample, "timestep": timestep.reshape(1), **named, **(named["added_cond_kwargs"] or {})}
        return {spec.name: inputs[spec.name] for spec in component.inputs}, (result[0],)

    def probe(self, spec: TensorSpec, shape: tuple[int, ...], config: Config) -> Any:
        """Noise at the first timestep, and a picture's latents with a little noise at the last."""
        import torch

        if spec.name == "sample":
            noise, picture = torch.randn(shape, generator=seeded_generator()), coarse_latents(shape)
            noised = [(picture[i] + sigma * noise[i]) / math.sqrt(sigma**2 + 1) for i, sigma in enumerate(SIGMAS)]
            return torch.stack(noised)
        if spec.name == "timestep":
            return torch.tensor(TIMESTEPS)
        return torch.tensor(time_ids(Size())).expand(shape)

    def constants(self, size: Size) -> Mapping[str, tuple[float, ...]]:
        """SDXL's time ids."""
        return {"time_ids": time_ids(size)} if self.text_time else {}


def time_ids(size: Size) -> tuple[float, ...]:
    """SDXL's time ids for a picture that is not cropped and not resized.

    Source: diffusers' StableDiffusionXLPipeline._get_add_time_ids with its defaults.
    """
    return (size.height, size.width, 0.0, 0.0, size.height, size.width)


def guidance_embedding(config: Config) -> list[float] | None:
    """The `timestep_cond` of a UNet distilled with guidance, for `GUIDANCE`: a row of `time_cond_proj_dim`.

    None for any other UNet. Source: `get_guidance_scale_embedding` of the pipelines, from `guidance_scale - 1`.
    """
    width = config.get("time_cond_proj_dim")
    if width is None:
        return None
    half = width // 2
    frequencies = np.exp(np.arange(half, dtype=np.float32) * -np.float32(np.log(10000.0) / (half - 1)))
    angles = np.float32((GUIDANCE - 1.0) * 1000.0) * frequencies
    embedding = np.concatenate([np.sin(angles), np.cos(angles), np.zeros(width % 2)])
    return [float(number) for number in embedding]


def _class() -> Any:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    return UNet2DConditionModel
