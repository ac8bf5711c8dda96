"""The form of the config of AutoencoderKL."""

from __future__ import annotations

from dataclasses import dataclass

from turbo_webnn.models.component import VAE_FACTOR
from turbo_webnn.models.parts.forms.types import (
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

SCALING_FACTOR = 0.18215
"""AutoencoderKL's default, for a config without a scaling factor."""


@dataclass(frozen=True)
class AutoencoderForm:
    """The config of AutoencoderKL.

    Raises:
        ValueError: if the numbers of blocks and of channels differ, groups do not divide the channels, the blocks do
            not make `VAE_FACTOR`, or the sizes are implausible.
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
        factor = 2 ** (len(self.block_out_channels) - 1)
        if factor != VAE_FACTOR:
            blocks = f"{len(self.block_out_channels)} numbers of channels"
            raise ValueError(f"{blocks} give {factor} pixels for each latent, served are {VAE_FACTOR}")
        resnets = 2 * self.layers_per_block + 1
        require_plausible(sum(36 * resnets * width**2 for width in self.block_out_channels))
