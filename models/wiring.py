"""The connections between the components of a pipeline, as data. A bundle's manifest contains them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

Output = Annotated[str, Meta(pattern=r"^[^.]+\.[^.]+$")]
"""An output of a component by its name in the contract, as `component.output`."""

Outputs = Annotated[tuple[Output, ...], Meta(min_length=1)]
"""Outputs of the same shape but for the last axis, along which they stand side by side."""


@dataclass(frozen=True)
class Wiring:
    """Which component does what, and what the denoiser reads. Names of tensors are those of the contract.

    Attributes:
        denoiser: the component that runs once in each step.
        decoder: the component that makes pictures of latents divided by the scaling factor.
        encoder: the component that makes latents of pictures; None where the pipeline has none.
        checker: the component that says which pictures must not be shown; None where the pipeline has none.
        latents: the denoiser's input that takes the latents, times the step's input scale.
        timestep: the denoiser's input that takes the step's timestep.
        conditions: the denoiser's inputs that text encoders give, by name.
    """

    denoiser: str
    decoder: str
    encoder: str | None = None
    checker: str | None = None
    latents: str = "sample"
    timestep: str = "timestep"
    conditions: Mapping[str, Outputs] = field(default_factory=dict)


def split_output(output: Output) -> tuple[str, str]:
    """The component and the tensor's name of `component.output`."""
    component, _, name = output.partition(".")
    return component, name
