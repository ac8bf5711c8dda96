"""The sampling loop, and the sampler that follows a schedule of the manifest.

The formulas are those of `models/schedule.py`. A schedule contains all numbers that diffusers' scheduler computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol

import numpy as np

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.schedule import Schedule, Step
from turbo_webnn.runtime.draw.noise import NoiseSource
from turbo_webnn.runtime.tensors.protocol import Tensors, Value


@dataclass(frozen=True)
class Sampling:
    """The parameters of a sampling run.

    Attributes:
        steps: the number of steps of the schedule.
        seed: the seed of the noise of the whole batch, as with one torch generator.
        strength: how much a picture changes, above 0 and at most 1; None where there is no picture.
        posterior: whether the latents of a picture are sampled from the VAE's distribution, as diffusers' pipelines do;
            otherwise they are its mean.
    """

    steps: int = 1
    seed: int = 0
    strength: float | None = None
    posterior: bool = False


class Sampler(Protocol[Value]):
    """The operations of a scheduler in one run."""

    @property
    def steps(self) -> Sequence[Any]:
        """The steps to run."""

    def posterior_noise(self, pictures: int) -> Value:
        """Draw the noise that samples the latents of `pictures` pictures, before `begin`.

        The noise of one picture is repeated for the batch, as diffusers repeats the latents of one picture.
        """

    def begin(self, start: Value | None) -> Value:
        """Make the first latents: noise, or the latents `start` of a picture with noise added."""

    def scale_input(self, latents: Value, step: Any) -> Value:
        """Scale `latents` for the denoiser."""

    def timestep(self, step: Any) -> Value:
        """The timestep of `step` as an input of the denoiser, [1]."""

    def step(self, latents: Value, output: Value, step: Any) -> Value:
        """Compute the latents after `step` from the denoiser's output."""


def sample(
    sampler: Sampler[Value],
    denoise: Callable[[Value, Value], Value],
    start: Value | None = None,
    on_step: Callable[[int], None] | None = None,
    release: Callable[..., None] = lambda *_values: None,
) -> Value:
    """Run all steps of `sampler`.

    Args:
        sampler: makes the first latents and computes the steps.
        denoise: computes the denoiser's output from the scaled latents and the timestep.
        start: latents of a picture, times the scaling factor; None to start from noise.
        on_step: called after each step with the number of completed steps.
        release: called with values that are no longer needed.

    Returns:
        The latents after the last step.
    """
    latents = sampler.begin(start)
    for completed, step in enumerate(sampler.steps, 1):
        scaled, timestep = sampler.scale_input(latents, step), sampler.timestep(step)
        next_latents = sampler.step(latents, denoise(scaled, timestep), step)
        release(scaled, timestep, latents)
        latents = next_latents
        if on_step is not None:
            on_step(completed)
    return latents


class ScheduleSampler(Generic[Value]):
    """Samples along a schedule, with the operations of `tensors`.

    Noise is drawn only for steps that add noise. An ancestral scheduler of diffusers also draws noise after its last
    step, but adds none of it. No later draw depends on it, so the latents are the same.

    Raises:
        RequestError: where the strength is not in (0, 1], or so small that no step is left to run, or torch does not
            accept the seed.
    """

    def __init__(self, schedule: Schedule, sampling: Sampling, shape: tuple[int, ...], tensors: Tensors[Value]) -> None:
        first = 0 if sampling.strength is None else first_step(schedule, sampling.strength)
        self._schedule, self._steps = schedule, schedule.steps[first:]
        self._noise, self._shape = NoiseSource(sampling.seed), shape
        self._tensors = tensors
        self._last_output: Value | None = None

    @property
    def steps(self) -> Sequence[Step]:
        """The steps to run."""
        return self._steps

    def posterior_noise(self, pictures: int) -> Value:
        """Draw the noise of `pictures` pictures, repeated for the batch, in the latents' shape."""
        batch, *rest = self._shape
        noise = self._noise.normal((pictures, *rest))
        return self._tensors.write(np.tile(noise, (batch // pictures, 1, 1, 1)))

    def begin(self, start: Value | None) -> Value:
        """Make the first latents: noise, or the latents `start` of a picture with noise added."""
        noise = self._draw_noise()
        if start is None:
            latents = self._tensors.scale(noise, self._schedule.init_noise_sigma)
        else:
            coefficients = self._steps[0].start
            latents = self._tensors.weighted_sum([(coefficients.latents, start), (coefficients.noise, noise)])
        self._tensors.release(noise)
        return latents

    def scale_input(self, latents: Value, step: Step) -> Value:
        """Scale `latents` for the denoiser."""
        return self._tensors.scale(latents, step.input_scale)

    def timestep(self, step: Step) -> Value:
        """The timestep of `step` as an input of the denoiser, [1]."""
        return self._tensors.write(np.array([step.timestep], np.float32))

    def step(self, latents: Value, output: Value, step: Step) -> Value:
        """Compute the latents after `step` from the denoiser's output."""
        coefficients = step.next
        terms = [(coefficients.latents, latents), (coefficients.output, output)]
        terms.append((coefficients.last_output, output if self._last_output is None else self._last_output))
        noises = [self._draw_noise()] if coefficients.noise else []
        next_latents = self._tensors.weighted_sum([*terms, *((coefficients.noise, noise) for noise in noises)])
        self._tensors.release(*noises, *([] if self._last_output is None else [self._last_output]))
        following = self._steps[self._steps.index(step) + 1 :][:1]
        needed = any(other.next.last_output for other in following)
        # a copy, because the next run of the denoiser overwrites its output
        self._last_output = self._tensors.scale(output, 1.0) if needed else None
        return next_latents

    def _draw_noise(self) -> Value:
        return self._tensors.write(self._noise.normal(self._shape))


def plan(schedules: Mapping[int, Schedule], steps: int) -> Schedule:
    """Choose the schedule of `steps` steps.

    Raises:
        RequestError: where the bundle has no such schedule.
    """
    schedule = schedules.get(steps)
    if schedule is None:
        raise RequestError(
            f"there is no schedule of {steps} steps", f"there are {', '.join(map(str, sorted(schedules)))}"
        )
    return schedule


def first_step(schedule: Schedule, strength: float) -> int:
    """The index of the first step of an image-to-image run at `strength`.

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
