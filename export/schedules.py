"""The checkpoint's own scheduler, asked for its numbers: the bundle carries them, not the scheduler."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from diffusers.schedulers.scheduling_euler_ancestral_discrete import EulerAncestralDiscreteScheduler
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler

from turbo_webnn.models.errors import LIBRARY_ERRORS, RequestError
from turbo_webnn.models.schedule import MAX_STEPS, Schedule, Step
from turbo_webnn.models.scheduler import require_served_scheduler

_SERVED = {
    "EulerDiscreteScheduler": EulerDiscreteScheduler,
    "EulerAncestralDiscreteScheduler": EulerAncestralDiscreteScheduler,
}


def schedules_of(config: Mapping[str, Any]) -> tuple[str, dict[int, Schedule]]:
    """The scheduler's class, and its schedule for each number of steps from 1 to `MAX_STEPS`.

    Raises:
        RequestError: as `require_served_scheduler`, or where diffusers makes no schedule of the config.
    """
    name = require_served_scheduler(config)
    ancestral = name == "EulerAncestralDiscreteScheduler"
    try:
        scheduler = _SERVED[name].from_config(dict(config))
        schedules = {count: _schedule(scheduler, count, ancestral=ancestral) for count in range(1, MAX_STEPS + 1)}
    except (*LIBRARY_ERRORS, ImportError) as error:
        raise RequestError(
            f"diffusers makes no schedule of this {name} ({error})", "give the checkpoint's own scheduler_config.json"
        ) from error
    for count, schedule in schedules.items():
        wrong = _unsound(schedule, count)
        if wrong is not None:
            raise RequestError(
                f"the scheduler's {count} steps have {wrong}", "give the checkpoint's own scheduler_config.json"
            )
    return name, schedules


def _unsound(schedule: Schedule, count: int) -> str | None:
    """What is wrong with a schedule, or None.

    diffusers finds a step by its timestep, so that it cannot run two steps of one timestep.
    """
    steps = schedule.steps
    numbers = [schedule.init_noise_sigma]
    for step in steps:
        numbers += [step.timestep, step.sigma, step.next_sigma, step.noise_scale]
    if not all(map(math.isfinite, numbers)):
        return "numbers that are not finite"
    if len(steps) != count or schedule.init_noise_sigma <= 0:
        return f"{len(steps)} timesteps and an initial sigma of {schedule.init_noise_sigma:g}"
    if not all(step.sigma > 0 and step.sigma >= step.next_sigma >= 0 for step in steps):
        return "sigmas that do not fall"
    timesteps = [step.timestep for step in steps]
    if timesteps[-1] < 0 or not all(earlier > later for earlier, later in pairwise(timesteps)):
        return "timesteps that do not fall"
    return None


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
