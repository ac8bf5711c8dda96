"""From noise to latents along a schedule: the loop, and the schedule's numbers as a sampler.

The formulas are those of `models/schedule.py`: a schedule holds all that diffusers' scheduler computes.
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
    """How latents are made.

    Attributes:
        steps: length of the schedule.
        seed: of the noise; one seed serves the whole batch, as one torch generator would.
        strength: how much of a picture is drawn anew, above 0 and at most 1; None where there is no picture.
    """

    steps: int = 1
    seed: int = 0
    strength: float | None = None


class Sampler(Protocol[Value]):
    """What a scheduler does in a run."""

    @property
    def steps(self) -> Sequence[Any]:
        """The steps to run."""

    def begin(self, start: Value | None) -> Value:
        """The first latents: noise, or the latents `start` of a picture under noise."""

    def scaled(self, latents: Value, step: Any) -> Value:
        """What the denoiser reads of `latents`."""

    def timestep(self, step: Any) -> Value:
        """What the denoiser reads as its timestep, [1]."""

    def stepped(self, latents: Value, output: Value, step: Any) -> Value:
        """The latents after `step`, from the denoiser's output."""


def sample(
    sampler: Sampler[Value],
    denoise: Callable[[Value, Value], Value],
    start: Value | None = None,
    on_step: Callable[[int], None] | None = None,
    release: Callable[..., None] = lambda *_values: None,
) -> Value:
    """Latents after all steps of `sampler`.

    Args:
        sampler: makes the first latents and the steps.
        denoise: the denoiser's output from the scaled latents and the timestep.
        start: scaled latents of a picture; None to start from noise.
        on_step: called after each step with the number of steps done.
        release: called with values that are not needed any more.
    """
    latents = sampler.begin(start)
    for done, step in enumerate(sampler.steps, 1):
        scaled, timestep = sampler.scaled(latents, step), sampler.timestep(step)
        stepped = sampler.stepped(latents, denoise(scaled, timestep), step)
        release(scaled, timestep, latents)
        latents = stepped
        if on_step is not None:
            on_step(done)
    return latents


class ScheduleSampler(Generic[Value]):
    """The numbers of a schedule over `tensors`.

    Noise is drawn only where a step adds some. (An ancestral scheduler of diffusers draws after its last step too,
    adds none of it, and nothing follows.)

    Raises:
        RequestError: where the strength is not in (0, 1], or so small that no step is left to run; or torch would
            not take the seed.
    """

    def __init__(self, schedule: Schedule, sampling: Sampling, shape: tuple[int, ...], tensors: Tensors[Value]) -> None:
        first = 0 if sampling.strength is None else entry(schedule, sampling.strength)
        self._schedule, self._steps = schedule, schedule.steps[first:]
        self._noise, self._shape = NoiseSource(sampling.seed), shape
        self._tensors = tensors
        self._last: Value | None = None

    @property
    def steps(self) -> Sequence[Step]:
        """The steps to run."""
        return self._steps

    def begin(self, start: Value | None) -> Value:
        """The first latents."""
        noise = self._drawn()
        if start is None:
            latents = self._tensors.scaled(noise, self._schedule.init_noise_sigma)
        else:
            sums = self._steps[0].start
            latents = self._tensors.combined([(sums.latents, start), (sums.noise, noise)])
        self._tensors.release(noise)
        return latents

    def scaled(self, latents: Value, step: Step) -> Value:
        """What the denoiser reads of `latents`."""
        return self._tensors.scaled(latents, step.input_scale)

    def timestep(self, step: Step) -> Value:
        """What the denoiser reads as its timestep, [1]."""
        return self._tensors.write(np.array([step.timestep], np.float32))

    def stepped(self, latents: Value, output: Value, step: Step) -> Value:
        """The latents after `step`."""
        sums = step.next
        terms = [(sums.latents, latents), (sums.output, output)]
        terms.append((sums.last_output, output if self._last is None else self._last))
        added = [self._drawn()] if sums.noise else []
        stepped = self._tensors.combined([*terms, *((sums.noise, noise) for noise in added)])
        self._tensors.release(*added)
        if any(other.next.last_output for other in self._steps):
            self._last = self._tensors.scaled(output, 1.0)  # a component overwrites its output in the next run
        return stepped

    def _drawn(self) -> Value:
        return self._tensors.write(self._noise.normal(self._shape))


def plan(schedules: Mapping[int, Schedule], steps: int) -> Schedule:
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
