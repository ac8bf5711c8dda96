"""What is traced of a component: its module behind the inputs and outputs of its contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from models.component import Component
from models.family import TOKENS


class _Forward(nn.Module):  # type: ignore[misc]  # torch is untyped here
    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module


class _TextEncoder(_Forward):
    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        # positions are made in the trace: the module's own buffer has no numbers under fake tensors
        positions = torch.arange(TOKENS).unsqueeze(0)  # [1, 77]
        return self.module(input_ids=input_ids, position_ids=positions).last_hidden_state


class _UNet(_Forward):
    def forward(
        self, sample: torch.Tensor, timestep: torch.Tensor, encoder_hidden_states: torch.Tensor
    ) -> torch.Tensor:
        return self.module(sample, timestep, encoder_hidden_states, return_dict=False)[0]


class _VaeDecoder(_Forward):
    def forward(self, latent_sample: torch.Tensor) -> torch.Tensor:
        return self.module.decode(latent_sample, return_dict=False)[0]


class _VaeEncoder(_Forward):
    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        """The mean of the latents: the variance's half of the last convolution is never computed."""
        moments = self.module.encoder(sample)  # [batch, 8, h, w]
        conv = self.module.quant_conv
        if conv is None:
            return moments.chunk(2, dim=1)[0]
        half = conv.out_channels // 2
        return nn.functional.conv2d(moments, conv.weight[:half], conv.bias[:half])


FORWARDS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "text_encoder": _TextEncoder,
    "unet": _UNet,
    "vae_decoder": _VaeDecoder,
    "vae_encoder": _VaeEncoder,
}
"""By component name."""


def forward_of(component: Component, module: nn.Module) -> nn.Module:
    """The traceable forward of `component` over `module`, its parameters under the prefix `module.`."""
    return FORWARDS[component.name](module)
