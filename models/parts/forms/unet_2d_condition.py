"""The form of the config of UNet2DConditionModel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from turbo_webnn.models.parts.forms.types import (
    Blocks,
    Flag,
    Fraction,
    Kernel,
    Layers,
    Names,
    PerBlock,
    PerHead,
    Positive,
    Side,
    Width,
    require_groups,
    require_plausible,
    require_types,
)


@dataclass(frozen=True)
class UnetForm:
    """The config of UNet2DConditionModel.

    Raises:
        ValueError: if the numbers of blocks and of channels differ, groups do not divide the channels, a kernel has no
            middle, or the sizes are implausible.
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
    reverse_transformer_layers_per_block: (
        Annotated[tuple[Layers | Annotated[tuple[Layers, ...], Meta(max_length=8)], ...], Meta(max_length=8)] | None
    ) = None
    attention_head_dim: PerHead = 8
    cross_attention_dim: Width | Annotated[tuple[Width, ...], Meta(max_length=8)] = 1280
    norm_num_groups: Width | None = 32
    norm_eps: Positive = 1e-5
    time_cond_proj_dim: Annotated[int, Meta(ge=4, le=32768)] | None = None  # 4 is the least with two frequencies
    time_embedding_dim: Width | None = None
    addition_time_embed_dim: Width | None = None
    projection_class_embeddings_input_dim: Width | None = None
    act_fn: str = "silu"
    time_embedding_act_fn: str | None = None
    timestep_post_act: str | None = None
    conv_in_kernel: Kernel = 3
    conv_out_kernel: Kernel = 3
    downsample_padding: Literal[0, 1] = 1  # with others the sizes of down and up blocks differ
    mid_block_scale_factor: Positive = 1.0
    resnet_out_scale_factor: Positive = 1.0
    dropout: Fraction = 0.0
    freq_shift: float = 0.0
    flip_sin_to_cos: Flag = True
    center_input_sample: Flag = False
    use_linear_projection: Flag = False
    upcast_attention: Flag = False
    only_cross_attention: bool | Annotated[tuple[bool, ...], Meta(max_length=8)] = False
    mid_block_only_cross_attention: Flag = None
    resnet_skip_time_act: Flag = False

    def __post_init__(self) -> None:
        require_types(self.block_out_channels, self.down_block_types, self.up_block_types)
        require_groups(self.block_out_channels, self.norm_num_groups)
        for name, kernel in (("conv_in_kernel", self.conv_in_kernel), ("conv_out_kernel", self.conv_out_kernel)):
            if kernel % 2 == 0:
                raise ValueError(f"{name} is {kernel}, an even number, which changes the size of latents")
        up_layers = self.reverse_transformer_layers_per_block or ()
        deepest = max(*_flat(self.transformer_layers_per_block), *_flat(up_layers)) + 1
        resnets = 2 * max(_flat(self.layers_per_block)) + 1
        # a transformer layer has about 24·width² weights, a resnet has two 3×3 convolutions
        require_plausible(sum(resnets * width**2 * (18 + 24 * deepest) for width in self.block_out_channels))


def _flat(numbers: int | tuple[int | tuple[int, ...], ...]) -> list[int]:
    """The numbers of nested tuples; 0 if there is none."""
    if isinstance(numbers, int):
        return [numbers]
    return [number for inner in numbers for number in _flat(inner)] or [0]
