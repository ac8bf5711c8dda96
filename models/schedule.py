"""A sampler's schedule as plain numbers, so that consumers need no scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]

MAX_STEPS = 4
"""Turbo models are distilled for 1 to 4 steps."""


@dataclass(frozen=True)
class Combination:
    """A sum of tensors of the latents' shape, each times its coefficient.

    Attributes:
        latents: coefficient of the latents before the step.
        output: coefficient of the denoiser's output in the step.
        last_output: coefficient of the denoiser's output in the step before; in the first step of a run, of that
            step's own output, which makes a two-step method a one-step one there.
        noise: coefficient of new standard normal noise; where it is 0, none is drawn.
    """

    latents: float = 1.0
    output: float = 0.0
    last_output: float = 0.0
    noise: float = 0.0


@dataclass(frozen=True)
class Step:
    """One step of sampling. The denoiser reads the latents times `input_scale`.

    Attributes:
        timestep: what the denoiser reads as its timestep.
        input_scale: factor of the latents before the denoiser.
        next: the latents after the step.
        clean: the finished latents that the step's output points at, for a preview.
        start: where image to image enters at this step, of a picture's latents and noise.
    """

    timestep: NotNegative
    input_scale: Positive
    next: Combination
    clean: Combination
    start: Combination


@dataclass(frozen=True)
class Schedule:
    """The steps of one run from pure noise, which starts as `init_noise_sigma`·noise.

    Image to image enters at step `first(strength)`.
    """

    init_noise_sigma: Positive
    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=MAX_STEPS)]

    def first(self, strength: float) -> int:
        """The index of the first step of image to image: the last `int(steps·strength)` steps run.

        Source: diffusers' get_timesteps.
        """
        return len(self.steps) - min(int(len(self.steps) * strength), len(self.steps))
