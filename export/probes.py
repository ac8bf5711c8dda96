"""Inputs on which a component's activations are measured: like those that it meets, seeded, and small.

What other components would give is what they do give: the decoder gets the encoder's latents of drawn pictures,
the UNet gets the states that the text encoders make of token ids.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn import functional

from turbo_webnn.export.streaming import Tensors, meta_forward, run_streamed
from turbo_webnn.export.torch_functions import FunctionMode
from turbo_webnn.models.component import Component, Size, TensorSpec
from turbo_webnn.models.source import Source

Watches = TypeVar("Watches", bound=tuple[FunctionMode, ...])
"""Modes of torch that see what a component's forward calls."""

SIZE = Size(batch=2, height=128, width=128)
"""Enough for every kind of neighbourhood at every scale: the latents are 16 by 16, a UNet's narrowest 2 or 4."""

TIMESTEPS = (999.0, 249.0)
"""The first and the last that a turbo model is asked for, one for each sample of the batch."""

SIGMAS = (14.6146, 0.6932)
"""Theirs, of the scaled_linear schedule that every served scheduler has."""


def probe(component: Component, source: Source) -> Tensors:
    """The inputs of `component`, by name, floats in float32.

    Raises:
        RequestError: where a component that feeds this one cannot be run.
    """
    given = _given(component, source)
    config = source.config(component)
    return {spec.name: _input(spec, config, given) for spec in component.inputs}


def observe(component: Component, source: Source, watching: Callable[[nn.Module], Watches]) -> Watches:
    """Run `component` once on its probe, one weight at a time in memory, under the watches that `watching` makes.

    Raises:
        RequestError: as `probe` does, or where the checkpoint does not make this component.
    """
    inputs = probe(component, source)
    forward = meta_forward(component, source, SIZE)
    watches = watching(forward)
    run_streamed(forward, component, source, inputs, watches)
    return watches


def _given(component: Component, source: Source) -> Tensors:
    """What the components that feed this one give, by name; the states of several side by side."""
    given: dict[str, torch.Tensor] = {}
    states = []  # [batch, tokens, width] each
    for name in component.fed_by:
        feeder = source.family.component(name)
        outputs = run_streamed(meta_forward(feeder, source, SIZE), feeder, source, probe(feeder, source))
        given |= outputs
        states += [value for value in outputs.values() if value.dim() == 3]
    return given | ({"encoder_hidden_states": torch.cat(states, dim=-1)} if states else {})


def _input(spec: TensorSpec, config: Mapping[str, Any], given: Tensors) -> torch.Tensor:
    if spec.name in given:
        return given[spec.name]
    return _DRAWN[spec.name](spec.shape(SIZE, config), config)


def _ids(shape: tuple[int, ...], config: Mapping[str, Any]) -> torch.Tensor:
    """Two prompts: a short one padded with the end-of-text token, a long one with "!" (id 0), as families differ.

    A CLIP vocabulary ends with the tokens for start and end of text.
    """
    batch, length = shape
    start, end = config["vocab_size"] - 2, config["vocab_size"] - 1
    ids = torch.randint(1, start, (batch, length), generator=_seeded(), dtype=torch.int32)
    ids[:, 0] = start
    ids[0, length // 8 :] = end
    ids[1, length // 2] = end
    ids[1, length // 2 + 1 :] = 0
    return ids


def _sample(shape: tuple[int, ...], config: Mapping[str, Any]) -> torch.Tensor:
    """Pictures for an encoder; for a UNet noise, and latents of a picture with a little noise on them."""
    return _pictures(shape, config) if shape[1] == 3 else _latents(shape)


def _pictures(shape: tuple[int, ...], _config: Mapping[str, Any]) -> torch.Tensor:
    """In -1...1: one of smooth colours, one of black and white edges; saturated squares and noise in both."""
    _, _, height, width = shape
    down, across = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    smooth = torch.stack([down, across, -down * across])
    edges = torch.sign(torch.sin(20 * down) * torch.sin(33 * across)).expand(3, -1, -1)
    pictures = torch.stack([smooth, edges])
    third = height // 3
    pictures[:, 0, :third, :third] = 1.0  # saturated red
    pictures[:, 1:, :third, :third] = -1.0
    noise = torch.rand(pictures[..., -third:, -third:].shape, generator=_seeded())
    pictures[..., -third:, -third:] = 2 * noise - 1
    return pictures


def _latents(shape: tuple[int, ...]) -> torch.Tensor:
    """Make latent / sqrt(sigma² + 1) at `TIMESTEPS`: a picture's latents have unit variance and vary slowly."""
    batch, channels, height, width = shape
    noise = torch.randn(shape, generator=_seeded())
    coarse = torch.randn(batch, channels, height // 4, width // 4, generator=_seeded())
    picture = functional.interpolate(coarse, (height, width), mode="bicubic")
    noised = [(picture[i] + sigma * noise[i]) / math.sqrt(sigma**2 + 1) for i, sigma in enumerate(SIGMAS)]
    return torch.stack(noised)


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


_DRAWN: dict[str, Callable[[tuple[int, ...], Mapping[str, Any]], torch.Tensor]] = {
    "input_ids": _ids,
    "sample": _sample,
    "clip_input": _pictures,
    "timestep": lambda _shape, _config: torch.tensor(TIMESTEPS),
    "time_ids": lambda shape, _config: torch.tensor([512.0, 512.0, 0.0, 0.0, 512.0, 512.0]).expand(shape),
}
"""By the names that the families' contracts give their inputs."""
