"""AutoencoderKL: the decoder, from latents to pictures, and the encoder, from pictures to latents."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from turbo_webnn.models.component import Component, Dim, Size, TensorSpec
from turbo_webnn.models.parts.forms.autoencoder_kl import AutoencoderForm
from turbo_webnn.models.parts.libraries import as_projection, constant_rows, load_diffusers
from turbo_webnn.models.parts.original_names import rename_diffusers
from turbo_webnn.models.parts.part import Config, Part, ServedValues
from turbo_webnn.models.parts.probe_inputs import coarse_latents, pictures
from turbo_webnn.models.parts.weight_rules import FINE_BITS, WeightRules

if TYPE_CHECKING:
    from turbo_webnn.models.checkpoint import Tensor

_PIXELS = ("batch", 3, "height", "width")

MOMENTS = "latent_parameters"
"""The mean and the logarithm of the variance of latents, joined along the channels: the encoder's output in some
bundles."""

_LOG_VARIANCES = (-30.0, 20.0)
"""The limits of the logarithm of the variance (diffusers' DiagonalGaussianDistribution)."""


@dataclass(frozen=True)
class _AutoencoderKL(Part):
    """The common base of decoder and encoder.

    Attributes:
        latent_statistics: whether the pipeline uses the mean and the standard deviation of latents that a config may
            state. SDXL's pipelines do; SD's do not.
        channels: the channels of the latents.
    """

    latent_statistics: bool = False
    channels: int = 4

    module = "AutoencoderKL"
    noun = "VAE"
    weights_stem = "diffusion_pytorch_model"
    form = AutoencoderForm
    # its errors are visible in single pixels, and it has few weights
    weights = WeightRules(
        kept=("conv_in.weight", "conv_out.weight"), doubled=("down_blocks.0.",), blocks="up_blocks", least=FINE_BITS
    )
    gains = {  # noqa: RUF012 - read only
        # a random UNet leaves most of its input's noise in the latents, some 20 times what a trained one leaves
        "post_quant_conv.weight": 0.05,
        # keeps most pixels inside -1..1
        "decoder.conv_out.weight": 0.5,
    }

    @property
    def served(self) -> ServedValues:
        """The config values that the graph needs."""
        return (("latent_channels", (self.channels,)), ("in_channels", (3,)), ("out_channels", (3,)))

    @property
    def _latents(self) -> tuple[Dim, ...]:
        return ("batch", self.channels, "latent_height", "latent_width")

    def build(self, config: Config) -> Any:
        """The module in float32."""
        return _class().from_config(dict(config)).eval()

    def renamed(self, module: Any, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors, renamed by diffusers' rules."""
        return rename_diffusers(module, tensors)

    def adapted(self, name: str, stored: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The tensor in `shape`: older VAEs have 1×1 convolutions in place of the linear layers of their attention."""
        return as_projection(stored, shape) if ".attentions." in name else stored

    def ignores(self, name: str) -> bool:
        """Whether `name` is of the loss, with which VAEs were trained."""
        return re.match(r"(first_stage_model|vae)\.loss\.", name) is not None

    def preload(self) -> None:
        """Import the class."""
        _class()

    def load(self, folder: Path, variant: str | None, dtype: Any) -> tuple[Any, Sequence[str]]:
        """Load the module with diffusers."""
        return load_diffusers(_class(), folder, variant, dtype)

    def statistics(self, config: Config) -> tuple[list[float], list[float]] | None:
        """The mean and the standard deviation of each channel of the latents; None if the pipeline uses none.

        If the config has both, StableDiffusionXLPipeline decodes `latents · std / scaling_factor + mean`, and encodes
        with the inverse. StableDiffusionPipeline reads neither. Here both are part of the graphs, so that consumers
        only divide by the scaling factor.
        """
        mean, std = config.get("latents_mean"), config.get("latents_std")
        if not self.latent_statistics or mean is None or std is None:
            return None
        return [float(number) for number in mean], [float(number) for number in std]

    def _statistics_like(self, latents: Any, config: Config) -> tuple[Any, Any] | None:
        """`statistics` as tensors of the type of `latents`, each [1, channels, 1, 1]."""
        statistics = self.statistics(config)
        if statistics is None:
            return None
        mean, std = (latents.new_tensor(numbers).view(1, -1, 1, 1) for numbers in statistics)
        return mean, std

    def _normalised(self, latents: Any, config: Config) -> Any:
        """`latents` as the module has them, normalised by the statistics if the pipeline uses any."""
        statistics = self._statistics_like(latents, config)
        if statistics is None:
            return latents
        mean, std = statistics
        return (latents - mean) / std

    def without_statistics(self, config: Config) -> dict[str, Any]:
        """`config` without the statistics that the graphs apply."""
        applied = {} if self.statistics(config) is None else {"latents_mean": None, "latents_std": None}
        return {**config, **applied}


@dataclass(frozen=True)
class AutoencoderKLDecoder(_AutoencoderKL):
    """The decoder: latents, divided by the scaling factor, to pictures."""

    called = "decode"

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
            mean, std = (constant_rows(numbers, 1).view(1, -1, 1, 1) for numbers in statistics)
            latent_sample = latent_sample * std + mean
        return module.decode(latent_sample, return_dict=False)[0]

    def reference(self, module: Any, component: Component, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Decode as the pipelines do."""
        latents = inputs["latent_sample"]
        statistics = self._statistics_like(latents, module.config)
        if statistics is not None:
            mean, std = statistics
            latents = latents * std + mean
        return (module.decode(latents).sample,)

    def needs(self, parameter: str) -> bool:
        """Whether `parameter` is of the decoder."""
        return parameter.startswith(("decoder.", "post_quant_conv."))

    def observed(
        self, module: Any, component: Component, arguments: Sequence[Any], named: Mapping[str, Any], result: Any
    ) -> tuple[Mapping[str, Any], tuple[Any, ...]]:
        """The pipelines apply the statistics of latents before the call."""
        return {component.inputs[0].name: self._normalised(arguments[0], module.config)}, (result[0],)

    def probe(self, spec: TensorSpec, shape: tuple[int, ...], config: Config) -> Any:
        """Latents of unit variance that vary slowly."""
        return coarse_latents(shape)


@dataclass(frozen=True)
class AutoencoderKLEncoder(_AutoencoderKL):
    """The encoder: pictures to the mean of their latents, not scaled."""

    called = "encode"

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
        """The output `MOMENTS`, which some bundles have in place of the mean."""
        return TensorSpec(MOMENTS, "float", ("batch", 2 * self.channels, "latent_height", "latent_width"))

    def trace(self, module: Any, component: Component, size: Size, sample: Any) -> Any:
        """The mean of the latents, or `MOMENTS` if that is the component's output.

        For the mean, the half of the last convolution that gives the variance is not computed. The logarithm of the
        variance in `MOMENTS` is limited as diffusers limits it, so that consumers need no limits.
        """
        from torch import nn

        moments = module.encoder(sample)  # [batch, 8, h, w]
        conv = module.quant_conv
        if component.outputs[0].name == MOMENTS:
            mean, log_variance = (moments if conv is None else conv(moments)).chunk(2, dim=1)
            return self._moments(module.config, mean, log_variance.clamp(*_LOG_VARIANCES))
        if conv is None:
            return self._relative(module.config, moments.chunk(2, dim=1)[0])
        mean_channels = conv.out_channels // 2
        mean = nn.functional.conv2d(moments, conv.weight[:mean_channels], conv.bias[:mean_channels])
        return self._relative(module.config, mean)

    def _relative(self, config: Config, mean: Any) -> Any:
        """Normalise the mean of latents by the statistics of latents if there are any."""
        statistics = self.statistics(config)
        if statistics is None:
            return mean
        center, std = (constant_rows(numbers, 1).view(1, -1, 1, 1) for numbers in statistics)
        return (mean - center) / std

    def _moments(self, config: Config, mean: Any, log_variance: Any) -> Any:
        """Normalise both by the statistics of latents if there are any, and join them."""
        import torch

        statistics = self.statistics(config)
        if statistics is not None:
            shift = constant_rows([2 * math.log(number) for number in statistics[1]], 1).view(1, -1, 1, 1)
            log_variance = log_variance - shift
        return torch.cat([self._relative(config, mean), log_variance], dim=1)

    def reference(self, module: Any, component: Component, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Encode as the image-to-image pipelines do: the mean, `MOMENTS`, or both, as `component` has outputs."""
        return self._of_posterior(module.config, module.encode(inputs["sample"]).latent_dist, component)

    def observed(
        self, module: Any, component: Component, arguments: Sequence[Any], named: Mapping[str, Any], result: Any
    ) -> tuple[Mapping[str, Any], tuple[Any, ...]]:
        """The pipelines apply the statistics of latents after the call."""
        outputs = self._of_posterior(module.config, result[0], component)
        return {component.inputs[0].name: arguments[0]}, outputs

    def _of_posterior(self, config: Config, posterior: Any, component: Component) -> tuple[Any, ...]:
        """The outputs of `component` from the distribution of latents, normalised by the statistics."""
        import torch

        mean, log_variance = posterior.mode(), posterior.logvar
        statistics = self.statistics(config)
        if statistics is not None:
            center, std = (mean.new_tensor(numbers).view(1, -1, 1, 1) for numbers in statistics)
            mean, log_variance = (mean - center) / std, log_variance - 2 * std.log()
        moments = torch.cat([mean, log_variance], dim=1)
        return tuple(moments if spec.name == MOMENTS else mean for spec in component.outputs)

    def needs(self, parameter: str) -> bool:
        """Whether `parameter` is of the encoder."""
        return parameter.startswith(("encoder.", "quant_conv."))

    def probe(self, spec: TensorSpec, shape: tuple[int, ...], config: Config) -> Any:
        """Two pictures."""
        return pictures(shape)


def _class() -> Any:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    return AutoencoderKL
