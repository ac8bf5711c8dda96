"""From noise to latents along a schedule, in float32 on the host whatever the bundle's precision.

The formulas are those of `models.schedule.Step`: a schedule holds all that diffusers' scheduler computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.schedule import Schedule, Step
from turbo_webnn.runtime.draw.noise import Float32Array, NoiseSource

Denoise = Callable[[Float32Array, float], Float32Array]
"""The UNet: the scaled latents [batch, 4, h, w] and the timestep in, the noise that it sees in them out."""


def plan(schedules: dict[int, Schedule], steps: int) -> Schedule:
    """The schedule of `steps` steps; RequestError where the bundle has none."""
    schedule = schedules.get(steps)
    if schedule is None:
        raise RequestError(
            f"there is no schedule of {steps} steps", f"there are {', '.join(map(str, sorted(schedules)))}"
        )
    return schedule


def entry(schedule: Schedule, strength: float) -> int:
    """The first step of an image-to-image run at `strength`.

    Raises:
        RequestError: where `strength` is not in (0, 1], or so small that no step is left to run.
    """
    steps = len(schedule.steps)
    if not 0.0 < strength <= 1.0:
        raise RequestError(f"strength {strength:g} is not above 0 and at most 1", "0.5 keeps half of the picture")
    first = schedule.first(strength)
    if first == steps:
        smallest = math.ceil(100 / steps) / 100  # in hundredths, rounded up: 0.34 for 3 steps
        raise RequestError(
            f"{steps} steps x strength {strength:g} is below 1, so no step would run",
            f"for {steps} steps the smallest strength is {smallest:g}",
        )
    return first


def pure_noise(schedule: Schedule, shape: tuple[int, ...], noise: NoiseSource) -> Float32Array:
    """The latents at which a text-to-image run starts."""
    return noise.normal(shape) * np.float32(schedule.init_noise_sigma)


def noised(latents: Float32Array, step: Step, noise: NoiseSource) -> Float32Array:
    """`latents` of a picture, noised to where an image-to-image run enters at `step`."""
    return latents + noise.normal(latents.shape) * np.float32(step.sigma)


@np.errstate(over="ignore", invalid="ignore")  # the pipeline tells what left its range, by component
def sample(
    denoise: Denoise,
    latents: Float32Array,
    steps: Sequence[Step],
    noise: NoiseSource,
    on_step: Callable[[int], None] | None = None,
) -> Float32Array:
    """Take `latents` down `steps`.

    `on_step` is told after each how many are done. `noise` is drawn from only where a step adds some. (An
    ancestral scheduler of diffusers draws after its last step too, adds none of it, and nothing follows.)
    """
    for done, step in enumerate(steps, 1):
        eps = denoise(latents / np.float32(math.sqrt(step.sigma**2 + 1.0)), step.timestep)
        latents = latents + np.float32(step.next_sigma - step.sigma) * eps
        if step.noise_scale:
            latents = latents + np.float32(step.noise_scale) * noise.normal(latents.shape)
        if on_step is not None:
            on_step(done)
    return latents
