"""A sampler's schedule as plain numbers, so that no consumer needs a scheduler of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]

MAX_STEPS = 4
"""Turbo models are distilled for 1 to 4 steps."""


@dataclass(frozen=True)
class Step:
    """One step of sampling, from `sigma` down.

    With x the latents and eps what the UNet makes of `x / sqrt(sigma² + 1)`:
    x ← x + (next_sigma − sigma)·eps + noise_scale·noise. This is diffusers' EulerDiscreteScheduler where
    noise_scale is 0, and its EulerAncestralDiscreteScheduler otherwise.
    """

    timestep: NotNegative
    sigma: Positive
    next_sigma: NotNegative
    noise_scale: NotNegative = 0.0


@dataclass(frozen=True)
class Schedule:
    """The steps of one run from pure noise, which starts as `init_noise_sigma`·noise.

    Image to image enters at step `first(strength)`, as `latents + sigma·noise` there.
    """

    init_noise_sigma: Positive
    steps: Annotated[tuple[Step, ...], Meta(min_length=1, max_length=MAX_STEPS)]

    def first(self, strength: float) -> int:
        """Where image to image enters: `int(steps·strength)` steps are left to run (diffusers' get_timesteps)."""
        return len(self.steps) - min(int(len(self.steps) * strength), len(self.steps))
