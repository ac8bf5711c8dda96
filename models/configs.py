"""The configs of module classes as far as sizes go: typed, and within bounds that every real model keeps.

The libraries build whatever a config asks for, a million layers too. These forms refuse that, and values of other
types, in the moment they are read. Defaults are the libraries' own, for keys that a config leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

Layers = Annotated[int, Meta(ge=1, le=128)]
"""The deepest published text encoder has 32, the deepest block of a UNet 10."""

Width = Annotated[int, Meta(ge=1, le=32768)]
"""Channels or hidden numbers; the widest published layer of these families has 10240."""

Vocabulary = Annotated[int, Meta(ge=1, le=1_000_000)]
Positive = Annotated[float, Meta(gt=0)]
Side = Annotated[int, Meta(ge=1, le=4096)]

Blocks = Annotated[tuple[Width, ...], Meta(min_length=1, max_length=8)]
"""Channels block by block; published UNets and VAEs have 3 or 4."""

Names = Annotated[tuple[str, ...], Meta(min_length=1, max_length=8)]
PerHead = Width | Annotated[tuple[Width, ...], Meta(max_length=8)]
PerBlock = Layers | Annotated[tuple[Layers, ...], Meta(max_length=8)]

Flag = bool | None
Fraction = Annotated[float, Meta(ge=0, le=1)]
Kernel = Annotated[int, Meta(ge=1, le=15)]

Dtype = Literal["float16", "bfloat16", "float32", "float64", "auto"] | None
"""What a CLIP config says of the type that it was saved in: torch's name of it."""

MOST_WEIGHTS = 40_000_000_000
"""Weights that one module may come to, by the rough count below: the largest that this project serves has 2.6e9."""


@dataclass(frozen=True)
class _ClipForm:
    """What CLIP's two models have in common."""

    hidden_size: Width
    intermediate_size: Width
    num_hidden_layers: Layers
    num_attention_heads: Width
    hidden_act: str = "quick_gelu"
    layer_norm_eps: Positive = 1e-5
    attention_dropout: Fraction = 0.0
    dtype: Dtype = None
    torch_dtype: Dtype = None

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            heads = f"{self.num_attention_heads} attention heads"
            raise ValueError(f"{heads} do not divide a width of {self.hidden_size}")
        layer = 4 * self.hidden_size**2 + 2 * self.hidden_size * self.intermediate_size
        _require_plausible(self.num_hidden_layers * layer + self._embedded())

    def _embedded(self) -> int:
        """Weights of the embedding."""
        return 0


@dataclass(frozen=True)
class ClipTextForm(_ClipForm):
    """Of CLIPTextModel and CLIPTextModelWithProjection.

    Raises:
        ValueError: where the heads do not divide the width, or the sizes are those of no model.
    """

    hidden_size: Width = 512
    intermediate_size: Width = 2048
    num_hidden_layers: Layers = 12
    num_attention_heads: Width = 8
    vocab_size: Vocabulary = 49408
    projection_dim: Width = 512
    max_position_embeddings: Width = 77
    eos_token_id: Annotated[int, Meta(ge=0)] = 49407

    def _embedded(self) -> int:
        return self.vocab_size * self.hidden_size


@dataclass(frozen=True)
class ClipVisionForm(_ClipForm):
    """Of the vision model inside of StableDiffusionSafetyChecker.

    Raises:
        ValueError: as `ClipTextForm`.
    """

    hidden_size: Width = 768
    intermediate_size: Width = 3072
    num_hidden_layers: Layers = 12
    num_attention_heads: Width = 12
    image_size: Side = 224
    patch_size: Side = 32


@dataclass(frozen=True)
class SafetyCheckerForm:
    """Of StableDiffusionSafetyChecker."""

    projection_dim: Width = 512
    vision_config: ClipVisionForm = field(default_factory=ClipVisionForm)
    dtype: Dtype = None
    torch_dtype: Dtype = None


@dataclass(frozen=True)
class UnetForm:
    """Of UNet2DConditionModel.

    Raises:
        ValueError: where blocks and channels are not equally many, groups do not divide the channels, or the sizes
            are those of no model.
    """

    sample_size: Side | Annotated[tuple[Side, ...], Meta(min_length=2, max_length=2)] | None = None
    in_channels: Width = 4
    out_channels: Width = 4
    block_out_channels: Blocks = (320, 640, 1280, 1280)
    down_block_types: Names | None = None
    up_block_types: Names | None = None
    layers_per_block: PerBlock = 2
    transformer_layers_per_block: (
        Layers | Annotated[tuple[Layers | Annotated[tuple[Layers, ...], Meta(max_length=8)], ...], Meta(max_length=8)]
    ) = 1
    attention_head_dim: PerHead = 8
    num_attention_heads: PerHead | None = None
    cross_attention_dim: Width | Annotated[tuple[Width, ...], Meta(max_length=8)] = 1280
    norm_num_groups: Width | None = 32
    norm_eps: Positive = 1e-5
    time_cond_proj_dim: Annotated[int, Meta(ge=4, le=32768)] | None = None  # 4 is the least that has two frequencies
    addition_time_embed_dim: Width | None = None
    projection_class_embeddings_input_dim: Width | None = None
    act_fn: str = "silu"
    time_embedding_act_fn: str | None = None
    timestep_post_act: str | None = None
    conv_in_kernel: Kernel = 3
    conv_out_kernel: Kernel = 3
    downsample_padding: Annotated[int, Meta(ge=0, le=8)] = 1
    mid_block_scale_factor: Positive = 1.0
    resnet_out_scale_factor: Positive = 1.0
    dropout: Fraction = 0.0
    freq_shift: float = 0.0
    flip_sin_to_cos: Flag = True
    center_input_sample: Flag = False
    use_linear_projection: Flag = False
    upcast_attention: Flag = False
    dual_cross_attention: Flag = False
    class_embeddings_concat: Flag = False
    resnet_skip_time_act: Flag = False

    def __post_init__(self) -> None:
        _require_types(self.block_out_channels, self.down_block_types, self.up_block_types)
        _require_groups(self.block_out_channels, self.norm_num_groups)
        deepest = max(_flat(self.transformer_layers_per_block)) + 1
        resnets = 2 * max(_flat(self.layers_per_block)) + 1
        # of a transformer's layer some 24 numbers a squared channel, of a resnet two convolutions of 3 by 3
        _require_plausible(sum(resnets * width**2 * (18 + 24 * deepest) for width in self.block_out_channels))


@dataclass(frozen=True)
class AutoencoderForm:
    """Of AutoencoderKL.

    Raises:
        ValueError: as `UnetForm`.
    """

    in_channels: Width = 3
    out_channels: Width = 3
    latent_channels: Width = 4
    block_out_channels: Blocks = (64,)
    down_block_types: Names | None = None
    up_block_types: Names | None = None
    layers_per_block: Layers = 1
    norm_num_groups: Width = 32
    scaling_factor: Positive = 0.18215
    shift_factor: float | None = None
    latents_mean: tuple[float, ...] | None = None
    latents_std: tuple[Positive, ...] | None = None
    act_fn: str = "silu"
    use_quant_conv: Flag = True
    use_post_quant_conv: Flag = True
    mid_block_add_attention: Flag = True
    force_upcast: Flag = True

    def __post_init__(self) -> None:
        _require_types(self.block_out_channels, self.down_block_types, self.up_block_types)
        _require_groups(self.block_out_channels, self.norm_num_groups)
        for name, numbers in (("latents_mean", self.latents_mean), ("latents_std", self.latents_std)):
            if numbers is not None and len(numbers) != self.latent_channels:
                raise ValueError(f"{name} has {len(numbers)} numbers for {self.latent_channels} channels")
        resnets = 2 * self.layers_per_block + 1
        _require_plausible(sum(36 * resnets * width**2 for width in self.block_out_channels))


def _require_types(channels: tuple[int, ...], *blocks: tuple[str, ...] | None) -> None:
    for names in blocks:
        if names is not None and len(names) != len(channels):
            raise ValueError(f"there are {len(names)} types of blocks for {len(channels)} numbers of channels")


def _require_groups(channels: tuple[int, ...], groups: int | None) -> None:
    for width in channels:
        if groups is not None and width % groups:
            raise ValueError(f"{groups} groups do not divide {width} channels")


def _require_plausible(weights: int) -> None:
    if weights > MOST_WEIGHTS:
        raise ValueError(f"it would have some {weights / 1e9:.0f} billion weights, which no such model has")


def _flat(numbers: int | tuple[int | tuple[int, ...], ...]) -> list[int]:
    """The numbers of a nest of them; 0 where there is none."""
    if isinstance(numbers, int):
        return [numbers]
    return [number for inner in numbers for number in _flat(inner)] or [0]
