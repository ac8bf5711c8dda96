"""AutoencoderKL: its decoder, from latents to pictures, and its encoder, from pictures to latents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from turbo_webnn.models.component import Component, Dim, Size, TensorSpec
from turbo_webnn.models.parts.config_types import (
    Blocks,
    Flag,
    Layers,
    Names,
    Positive,
    Width,
    require_groups,
    require_plausible,
    require_types,
)
from turbo_webnn.models.parts.libraries import current_keys, load_diffusers, row
from turbo_webnn.models.parts.part import Config, Part, ServedValues
from turbo_webnn.models.parts.probe_inputs import coarse_latents, pictures
from turbo_webnn.models.parts.weight_rules import FINE_BITS, WeightRules

if TYPE_CHECKING:
    from turbo_webnn.models.checkpoint import StoredTensor

SCALING_FACTOR = 0.18215
"""AutoencoderKL's own, for a config that states none."""

_PIXELS = ("batch", 3, "height", "width")

MOMENTS = "latent_parameters"
"""Mean and logarithm of the variance of latents, along the channels: what the encoder may give in a layout."""


@dataclass(frozen=True)
class AutoencoderForm:
    """The config of AutoencoderKL.

    Raises:
        ValueError: where blocks and channels are not equally many, groups do not divide the channels, or the sizes
            are those of no model.
    """

    in_channels: Width = 3
    out_channels: Width = 3
    latent_channels: Width = 4
    block_out_channels: Blocks = (64,)
    down_block_types: Names | None = None
    up_block_types: Names | None = None
    layers_per_block: Layers = 1
    norm_num_groups: Width = 32
    scaling_factor: Positive = SCALING_FACTOR
    shift_factor: float | None = None
    latents_mean: tuple[float, ...] | None = None
    latents_std: tuple[Positive, ...] | None = None
    act_fn: str = "silu"
    use_quant_conv: Flag = True
    use_post_quant_conv: Flag = True
    mid_block_add_attention: Flag = True
    force_upcast: Flag = True

    def __post_init__(self) -> None:
        require_types(self.block_out_channels, self.down_block_types, self.up_block_types)
        require_groups(self.block_out_channels, self.norm_num_groups)
        for name, numbers in (("latents_mean", self.latents_mean), ("latents_std", self.latents_std)):
            if numbers is not None and len(numbers) != self.latent_channels:
                raise ValueError(f"{name} has {len(numbers)} numbers for {self.latent_channels} channels")
        resnets = 2 * self.layers_per_block + 1
        require_plausible(sum(36 * resnets * width**2 for width in self.block_out_channels))


@dataclass(frozen=True)
class _AutoencoderKL(Part):
    """What both halves share.

    Attributes:
        latent_statistics: whether the pipeline honours the mean and deviation of latents that a config may state.
            SDXL's do; SD's do not.
        channels: of the latents.
    """

    latent_statistics: bool = False
    channels: int = 4

    module = "AutoencoderKL"
    noun = "VAE"
    weights_stem = "diffusion_pytorch_model"
    form = AutoencoderForm
    # errors are seen at once, pixel by pixel, and its weights are few
    weights = WeightRules(
        kept=("conv_in.weight", "conv_out.weight"), doubled=("down_blocks.0.",), blocks="up_blocks", least=FINE_BITS
    )
    gains = {  # noqa: RUF012 - read only
        # a random UNet leaves most of its input's noise in the latents, some 20 times what a trained one leaves
        "post_quant_conv.weight": 0.05,
        # so that most pixels stay inside -1..1
        "decoder.conv_out.weight": 0.5,
    }

    @property
    def served(self) -> ServedValues:
        """What the graph relies on."""
        return (("latent_channels", (self.channels,)), ("in_channels", (3,)), ("out_channels", (3,)))

    @property
    def _latents(self) -> tuple[Dim, ...]:
        return ("batch", self.channels, "latent_height", "latent_width")

    def build(self, config: Config) -> Any:
        """The module in float32."""
        return _class().from_config(dict(config)).eval()

    def renamed(self, module: Any, tensors: Mapping[str, StoredTensor]) -> Mapping[str, StoredTensor]:
        """By diffusers' own rules."""
        return current_keys(module, tensors)

    def adapted(self, name: str, stored: StoredTensor, shape: tuple[int, ...]) -> StoredTensor:
        """Older VAEs attend by 1×1 convolutions, whose weights are those of linear layers."""
        is_convolution = ".attentions." in name and stored.shape == (*shape, 1, 1)
        return replace(stored, shape=shape) if is_convolution else stored

    def load(self, folder: Path, variant: str | None, dtype: Any) -> tuple[Any, Sequence[str]]:
        """By diffusers."""
        return load_diffusers(_class(), folder, variant, dtype)

    def statistics(self, config: Config) -> tuple[list[float], list[float]] | None:
        """Mean and standard deviation of each channel of the latents; None where the pipeline uses none.

        StableDiffusionXLPipeline decodes `latents · std / scaling_factor + mean`, where the config has both, and
        encodes the inverse. StableDiffusionPipeline reads neither. Here both are part of the graphs, so that dividing
        by the scaling factor, as every consumer does, is right.
        """
        mean, std = config.get("latents_mean"), config.get("latents_std")
        if not self.latent_statistics or mean is None or std is None:
            return None
        return [float(number) for number in mean], [float(number) for number in std]

    def without_statistics(self, config: Config) -> dict[str, Any]:
        """`config` without the statistics that the graphs apply."""
        applied = {} if self.statistics(config) is None else {"latents_mean": None, "latents_std": None}
        return {**config, **applied}


@dataclass(frozen=True)
class AutoencoderKLDecoder(_AutoencoderKL):
    """Latents, divided by the scaling factor, to pictures."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Latents."""
        return (TensorSpec("latent_sample", "float", self._latents),)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Pictures in -1…1."""
        return (TensorSpec("sample", "float", _PIXELS),)

    def trace(self, module: Any, component: Component, size: Size, latent_sample: Any) -> Any:
        """Pictures [batch, 3, H, W]."""
        statistics = self.statistics(module.config)
        if statistics is not None:
            mean, std = (row(numbers, 1).view(1, -1, 1, 1) for numbers in statistics)
            latent_sample = latent_sample * std + mean
        return module.decode(latent_sample, return_dict=False)[0]

    def reference(self, module: Any, component: Component, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """As the pipelines decode."""
        latents = inputs["latent_sample"]
        statistics = self.statistics(module.config)
        if statistics is not None:
            mean, std = (latents.new_tensor(numbers).view(1, -1, 1, 1) for numbers in statistics)
            latents = latents * std + mean
        return (module.decode(latents).sample,)

    def probe(self, spec: TensorSpec, shape: tuple[int, ...], config: Config) -> Any:
        """Latents of unit variance that vary slowly."""
        return coarse_latents(shape)


@dataclass(frozen=True)
class AutoencoderKLEncoder(_AutoencoderKL):
    """Pictures to the mean of their latents, not yet scaled."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Pictures in -1…1."""
        return (TensorSpec("sample", "float", _PIXELS),)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Latents."""
        return (TensorSpec("latent_sample", "float", self._latents),)

    @property
    def moments(self) -> TensorSpec:
        """What it gives in place of the mean where a layout asks for it: `MOMENTS`."""
        return TensorSpec(MOMENTS, "float", ("batch", 2 * self.channels, "latent_height", "latent_width"))

    def trace(self, module: Any, component: Component, size: Size, sample: Any) -> Any:
        """The mean of the latents, or `MOMENTS` where the component gives them.

        For the mean, the variance's half of the last convolution is never computed.
        """
        from torch import nn

        moments = module.encoder(sample)  # [batch, 8, h, w]
        conv = module.quant_conv
        if component.outputs[0].name == MOMENTS:
            return self._relative(module.config, moments if conv is None else conv(moments))
        if conv is None:
            return self._relative(module.config, moments.chunk(2, dim=1)[0])
        half = conv.out_channels // 2
        mean = nn.functional.conv2d(moments, conv.weight[:half], conv.bias[:half])
        return self._relative(module.config, mean)

    def _relative(self, config: Config, latents: Any) -> Any:
        """Mean, or mean and logarithm of the variance, relative to the statistics of latents where there are any."""
        import torch

        statistics = self.statistics(config)
        if statistics is None:
            return latents
        mean, std = (row(numbers, 1).view(1, -1, 1, 1) for numbers in statistics)
        if latents.shape[1] == len(statistics[0]):
            return (latents - mean) / std
        means, variances = latents.chunk(2, dim=1)
        spread = row([2 * math.log(number) for number in statistics[1]], 1).view(1, -1, 1, 1)
        return torch.cat([(means - mean) / std, variances - spread], dim=1)

    def reference(self, module: Any, component: Component, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """As the image-to-image pipelines encode, with the mean in place of a sample."""
        latents = module.encode(inputs["sample"]).latent_dist.mode()
        statistics = self.statistics(module.config)
        if statistics is not None:
            mean, std = (latents.new_tensor(numbers).view(1, -1, 1, 1) for numbers in statistics)
            latents = (latents - mean) / std
        return (latents,)

    def probe(self, spec: TensorSpec, shape: tuple[int, ...], config: Config) -> Any:
        """Two pictures."""
        return pictures(shape)


def _class() -> Any:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    return AutoencoderKL
