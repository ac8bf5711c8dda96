"""The checkpoint's own scheduler, asked for its numbers: the bundle carries them, not the scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffusers.schedulers.scheduling_euler_ancestral_discrete import EulerAncestralDiscreteScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler

from models.schedule import MAX_STEPS, Schedule, Step
from models.scheduler import require_served_scheduler

_SERVED = {
    "EulerDiscreteScheduler": EulerDiscreteScheduler,
    "EulerAncestralDiscreteScheduler": EulerAncestralDiscreteScheduler,
}


def schedules_of(config: Mapping[str, Any]) -> tuple[str, dict[int, Schedule]]:
    """The scheduler's class, and its schedule for each number of steps from 1 to `MAX_STEPS`.

    Raises:
        RequestError: as `require_served_scheduler`.
    """
    name = require_served_scheduler(config)
    scheduler = _SERVED[name].from_config(dict(config))
    ancestral = name == "EulerAncestralDiscreteScheduler"
    return name, {count: _schedule(scheduler, count, ancestral=ancestral) for count in range(1, MAX_STEPS + 1)}


def _schedule(scheduler: Any, count: int, *, ancestral: bool) -> Schedule:
    scheduler.set_timesteps(count)
    sigmas = [float(sigma) for sigma in scheduler.sigmas]
    steps = tuple(
        _step(float(timestep), sigma, next_sigma, ancestral=ancestral)
        for timestep, sigma, next_sigma in zip(scheduler.timesteps, sigmas, sigmas[1:], strict=False)
    )
    return Schedule(init_noise_sigma=float(scheduler.init_noise_sigma), steps=steps)


def _step(timestep: float, sigma: float, next_sigma: float, *, ancestral: bool) -> Step:
    if not ancestral:
        return Step(timestep, sigma, next_sigma)
    # k-diffusion's ancestral step: part of the way down is noise, and the step goes down that much further
    up = (next_sigma**2 * (sigma**2 - next_sigma**2) / sigma**2) ** 0.5
    return Step(timestep, sigma, (next_sigma**2 - up**2) ** 0.5, up)
