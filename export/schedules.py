"""The checkpoint's own scheduler, asked for its numbers: the bundle carries them, not the scheduler."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from itertools import pairwise
from typing import Any

from turbo_webnn.models.errors import LIBRARY_ERRORS, RequestError
from turbo_webnn.models.schedule import MAX_STEPS, Schedule
from turbo_webnn.models.schedulers.euler import EULER_SCHEDULERS
from turbo_webnn.models.schedulers.scheduler import Scheduler, scheduler_of

_RIGHT = "give the checkpoint's own scheduler_config.json"


def schedules_of(
    config: Mapping[str, Any], schedulers: Sequence[Scheduler] = EULER_SCHEDULERS
) -> tuple[str, dict[int, Schedule]]:
    """The scheduler's class, and its schedule for each number of steps from 1 to `MAX_STEPS`.

    Args:
        config: the scheduler's, as the pipeline uses it.
        schedulers: those that are served.

    Raises:
        RequestError: as `scheduler_of`, or where diffusers makes no schedule of the config.
    """
    scheduler = scheduler_of(config, schedulers)
    try:
        schedules = {count: scheduler.schedule(config, count) for count in range(1, MAX_STEPS + 1)}
    except (*LIBRARY_ERRORS, ImportError) as error:
        raise RequestError(f"diffusers makes no schedule of this {scheduler.name} ({error})", _RIGHT) from error
    for count, schedule in schedules.items():
        wrong = _unsound(schedule, count)
        if wrong is not None:
            raise RequestError(f"the scheduler's {count} steps have {wrong}", _RIGHT)
    return scheduler.name, schedules


def _unsound(schedule: Schedule, count: int) -> str | None:
    """What is wrong with a schedule, or None.

    diffusers finds a step by its timestep, so that it cannot run two steps of one timestep.
    """
    steps = schedule.steps
    if not all(map(math.isfinite, _numbers([schedule.init_noise_sigma, *map(astuple, steps)]))):
        return "numbers that are not finite"
    if len(steps) != count or schedule.init_noise_sigma <= 0:
        return f"{len(steps)} timesteps and an initial sigma of {schedule.init_noise_sigma:g}"
    timesteps = [step.timestep for step in steps]
    if timesteps[-1] < 0 or not all(earlier > later for earlier, later in pairwise(timesteps)):
        return "timesteps that do not fall"
    return None


def _numbers(nested: Any) -> list[float]:
    """The numbers of a nest of sequences."""
    if isinstance(nested, list | tuple):
        return [number for inner in nested for number in _numbers(inner)]
    return [nested]
