"""The inputs on which a component's activations are measured, its probe: realistic, seeded and small.

Inputs that other components compute in the pipeline come from running these components: the decoder reads the
encoder's latents of generated pictures, and the denoiser reads the text encoders' states of token ids. The component's
part makes the other inputs.
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
"""Modes of torch that observe the functions which a component's forward calls."""

SIZE = Size(batch=2, height=128, width=128)
"""Large enough for inner and border pixels at every scale: latents have 16 by 16, a UNet's smallest level 2 or 4."""


def make_probe(component: Component, source: Source) -> Tensors:
    """Make the inputs of `component`, by name, floats in float32.

    Raises:
        RequestError: if a component that computes one of the inputs cannot be run.
    """
    inputs, config = _inputs_from_components(component, source), source.config(component)
    for spec in component.inputs:
        if spec.name not in inputs:
            inputs[spec.name] = component.part.probe(spec, spec.shape(SIZE, config), config)
    return {spec.name: inputs[spec.name] for spec in component.inputs}


def observe(component: Component, source: Source, make_watches: Callable[[nn.Module], Watches]) -> Watches:
    """Run `component` once on its probe, with one weight at a time in memory.

    Args:
        component: the component to run.
        source: where its config and weights come from.
        make_watches: makes the watches from the module that is run.

    Returns:
        The watches after the run.

    Raises:
        RequestError: as `make_probe`, or if the checkpoint does not fit this component.
    """
    inputs = make_probe(component, source)
    forward = meta_forward(component, source, SIZE)
    watches = make_watches(forward)
    run_streamed(forward, component, source, inputs, watches)
    return watches


def _inputs_from_components(component: Component, source: Source) -> dict[str, torch.Tensor]:
    """The inputs that other components compute, by name. Several outputs are joined along the last axis."""
    wiring = source.family.inputs_from(component)
    names = dict.fromkeys(split_output(output)[0] for outputs in wiring.values() for output in outputs)
    computed: dict[str, torch.Tensor] = {}
    for name in names:
        feeder = source.family.component(name)
        outputs = run_streamed(meta_forward(feeder, source, SIZE), feeder, source, make_probe(feeder, source))
        computed |= {f"{name}.{output}": value for output, value in outputs.items()}
    return {
        name: torch.cat([computed[output] for output in outputs], dim=-1) if len(outputs) > 1 else computed[outputs[0]]
        for name, outputs in wiring.items()
    }
