"""What is traced of a component: its module behind the inputs and outputs of its contract."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from turbo_webnn.models.component import Component, Size
from turbo_webnn.models.family import TOKENS, time_ids
from turbo_webnn.models.pipeline_values import guidance_embedding, latent_statistics


class _Forward(nn.Module):  # type: ignore[misc]  # torch is untyped here
    def __init__(self, module: Any, component: Component, size: Size) -> None:
        super().__init__()
        self.module = module
        self.component = component
        self.size = size


class _TextEncoder(_Forward):
    def forward(self, input_ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs of the contract, in its order, from ids [batch, 77]."""
        wanted = [spec.name for spec in self.component.outputs]
        # positions are made in the trace: the module's own buffer has no numbers under fake tensors
        positions = torch.arange(TOKENS).unsqueeze(0)  # [1, 77]
        encoder = getattr(self.module, "text_model", self.module)
        layers = any(name.startswith("hidden_states") for name in wanted)
        states = encoder(input_ids=input_ids, position_ids=positions, output_hidden_states=layers)
        each = {f"hidden_states.{index}": state for index, state in enumerate(states.hidden_states or ())}
        # what no output is made of is dropped from the graph: the last layer where its states are not read
        given: Mapping[str, Callable[[], torch.Tensor]] = {
            "last_hidden_state": lambda: states.last_hidden_state,
            "hidden_states": lambda: states.hidden_states[-2],
            "text_embeds": lambda: self.module.text_projection(
                _pooled(states.last_hidden_state, input_ids, self.module.config.eos_token_id)
            ),
        }
        return tuple(each[name] if name in each else given[name]() for name in wanted)


def _pooled(states: torch.Tensor, ids: torch.Tensor, end: int) -> torch.Tensor:
    """The states at the end of the text, [batch, width], as CLIPTextModel picks them.

    That is the first place of the token `end`, or of the highest id where a config says 2, as all published before
    2023 do. WebNN has no int64, which ArgMax gives; and what it would take to gather a place of each row. So each
    place is ranked in int32, earlier ones higher, and the highest is picked by a product, which is exact.
    """
    ranks = ids if end == 2 else (ids == end).to(torch.int32)  # [batch, 77]
    ranks = ranks * TOKENS - torch.arange(TOKENS, dtype=torch.int32)  # no two are equal
    picked = (ranks == ranks.amax(dim=1, keepdim=True)).to(states.dtype)
    return (picked.unsqueeze(1) @ states).squeeze(1)


class _UNet(_Forward):
    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, *conditions: torch.Tensor) -> torch.Tensor:
        """The noise seen in `sample`, of its shape; `conditions` are the contract's other inputs, in its order."""
        names = [spec.name for spec in self.component.inputs[2:]]
        told = dict(zip(names, conditions, strict=True))
        states = told.pop("encoder_hidden_states")
        if self.module.config.addition_embed_type == "text_time" and "time_ids" not in told:
            told["time_ids"] = _row(time_ids(self.size), self.size.batch)  # [batch, 6]
        guidance = guidance_embedding(self.module.config)
        cond = None if guidance is None else _row(guidance, sample.shape[0])  # [batch, time_cond_proj_dim]
        return self.module(sample, timestep, states, timestep_cond=cond, added_cond_kwargs=told, return_dict=False)[0]


def _row(numbers: Sequence[float], batch: int) -> torch.Tensor:
    """`numbers` as each row of a batch, [batch, numbers].

    They are made one by one: a tensor made of numbers would be a parameter without any, under fake tensors.
    """
    return torch.cat([torch.full((batch, 1), float(number)) for number in numbers], dim=1)


class _VaeDecoder(_Forward):
    def forward(self, latent_sample: torch.Tensor) -> torch.Tensor:
        statistics = latent_statistics(self.component, self.module.config)
        if statistics is not None:
            mean, std = (_row(numbers, 1).view(1, -1, 1, 1) for numbers in statistics)
            latent_sample = latent_sample * std + mean
        return self.module.decode(latent_sample, return_dict=False)[0]


class _VaeEncoder(_Forward):
    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        """The mean of the latents: the variance's half of the last convolution is never computed.

        Both where the component gives `latent_parameters`.
        """
        moments = self.module.encoder(sample)  # [batch, 8, h, w]
        conv = self.module.quant_conv
        if self.component.outputs[0].name == "latent_parameters":
            return self._relative(moments if conv is None else conv(moments))
        if conv is None:
            return self._relative(moments.chunk(2, dim=1)[0])
        half = conv.out_channels // 2
        return self._relative(nn.functional.conv2d(moments, conv.weight[:half], conv.bias[:half]))

    def _relative(self, latents: torch.Tensor) -> torch.Tensor:
        """Mean, or mean and logarithm of the variance, relative to the statistics of latents where there are any."""
        statistics = latent_statistics(self.component, self.module.config)
        if statistics is None:
            return latents
        mean, std = (_row(numbers, 1).view(1, -1, 1, 1) for numbers in statistics)
        if latents.shape[1] == len(statistics[0]):
            return (latents - mean) / std
        means, variances = latents.chunk(2, dim=1)
        spread = _row([2 * math.log(number) for number in statistics[1]], 1).view(1, -1, 1, 1)
        return torch.cat([(means - mean) / std, variances - spread], dim=1)


class _AllPositions(nn.Module):  # type: ignore[misc]
    """The whole position embedding: which positions there are is a buffer, without numbers under fake tensors."""

    def __init__(self, weight: nn.Parameter) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, _positions: torch.Tensor) -> torch.Tensor:
        return self.weight.unsqueeze(0)


class _SafetyChecker(_Forward):
    def __init__(self, module: Any, component: Component, size: Size) -> None:
        super().__init__(module, component, size)
        embeddings = module.vision_model.embeddings
        embeddings.position_embedding = _AllPositions(embeddings.position_embedding.weight)

    def forward(self, clip_input: torch.Tensor) -> torch.Tensor:
        """1 where a picture shows what it should not, [batch], as diffusers' forward_onnx decides.

        WebNN has no reduction of truth values, so the greatest score is compared instead of every one.
        """
        seen = self.module.visual_projection(self.module.vision_model(clip_input)[1])  # [batch, width]
        special = _cosines(seen, self.module.special_care_embeds) - self.module.special_care_embeds_weights
        care = (special.amax(dim=1, keepdim=True) > 0).to(special.dtype) * _CARE
        scores = _cosines(seen, self.module.concept_embeds) - self.module.concept_embeds_weights + care
        return (scores.amax(dim=1) > 0).to(torch.int32)


_CARE = 0.01
"""Added to every score where one of the special concepts is seen (StableDiffusionSafetyChecker)."""


def _cosines(seen: torch.Tensor, concepts: torch.Tensor) -> torch.Tensor:
    """Of the angles between the rows of both, [batch, concepts]."""
    return nn.functional.normalize(seen) @ nn.functional.normalize(concepts).t()


FORWARDS: dict[str, Callable[[nn.Module, Component, Size], nn.Module]] = {
    "text_encoder": _TextEncoder,
    "text_encoder_2": _TextEncoder,
    "unet": _UNet,
    "vae_decoder": _VaeDecoder,
    "vae_encoder": _VaeEncoder,
    "safety_checker": _SafetyChecker,
}
"""By component name."""


def forward_of(component: Component, module: nn.Module, size: Size) -> nn.Module:
    """The traceable forward of `component` over `module`, its parameters under the prefix `module.`."""
    return FORWARDS[component.name](module, component, size)
