"""Inputs on which a component's activations are measured: like those that it meets, seeded, and small.

What other components would give is what they do give: the decoder gets the encoder's latents of drawn pictures,
the denoiser gets the states that the text encoders make of token ids. The rest is what the component's part gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from turbo_webnn.export.streaming import Tensors, meta_forward, run_streamed
from turbo_webnn.export.torch_functions import FunctionMode
from turbo_webnn.models.component import Component, Size
from turbo_webnn.models.source import Source
from turbo_webnn.models.wiring import split_output

Watches = TypeVar("Watches", bound=tuple[FunctionMode, ...])
"""Modes of torch that see what a component's forward calls."""

SIZE = Size(batch=2, height=128, width=128)
"""Enough for every kind of neighbourhood at every scale: the latents are 16 by 16, a UNet's narrowest 2 or 4."""


def probe(component: Component, source: Source) -> Tensors:
    """The inputs of `component`, by name, floats in float32.

    Raises:
        RequestError: where a component that gives one of them cannot be run.
    """
    inputs, config = _from_others(component, source), source.config(component)
    for spec in component.inputs:
        if spec.name not in inputs:
            inputs[spec.name] = component.part.probe(spec, spec.shape(SIZE, config), config)
    return {spec.name: inputs[spec.name] for spec in component.inputs}


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


def _from_others(component: Component, source: Source) -> dict[str, torch.Tensor]:
    """The inputs that other components give, by name; several outputs stand side by side along the last axis."""
    wiring = source.family.inputs_from(component)
    names = dict.fromkeys(split_output(output)[0] for outputs in wiring.values() for output in outputs)
    given: dict[str, torch.Tensor] = {}
    for name in names:
        feeder = source.family.component(name)
        outputs = run_streamed(meta_forward(feeder, source, SIZE), feeder, source, probe(feeder, source))
        given |= {f"{name}.{output}": value for output, value in outputs.items()}
    return {
        name: torch.cat([given[output] for output in outputs], dim=-1) if len(outputs) > 1 else given[outputs[0]]
        for name, outputs in wiring.items()
    }
