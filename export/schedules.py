"""The schedules of the checkpoint's own scheduler. A bundle contains their numbers, not the scheduler."""

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


def make_schedules(
    config: Mapping[str, Any], schedulers: Sequence[Scheduler] = EULER_SCHEDULERS
) -> tuple[str, dict[int, Schedule]]:
    """Make the schedule for each number of steps from 1 to `MAX_STEPS`.

    Args:
        config: the scheduler's config, as the pipeline uses it.
        schedulers: the schedulers that are served.

    Returns:
        The name of the scheduler's class, and the schedules by number of steps.

    Raises:
        RequestError: as `scheduler_of`, or if diffusers cannot make a schedule from the config.
    """
    scheduler = scheduler_of(config, schedulers)
    try:
        schedules = {count: scheduler.schedule(config, count) for count in range(1, MAX_STEPS + 1)}
    except (*LIBRARY_ERRORS, ImportError) as error:
        raise RequestError(f"diffusers makes no schedule of this {scheduler.name} ({error})", _RIGHT) from error
    for count, schedule in schedules.items():
        fault = _find_fault(schedule, count)
        if fault is not None:
            raise RequestError(f"the scheduler's {count} steps have {fault}", _RIGHT)
    return scheduler.name, schedules


def _find_fault(schedule: Schedule, count: int) -> str | None:
    """The text that describes the fault of a schedule, or None if it has none.

    diffusers finds a step by its timestep, so it cannot run two steps with the same timestep.
    """
    steps = schedule.steps
    if not all(map(math.isfinite, _flatten([schedule.init_noise_sigma, *map(astuple, steps)]))):
        return "numbers that are not finite"
    if len(steps) != count or schedule.init_noise_sigma <= 0:
        return f"{len(steps)} timesteps and an initial sigma of {schedule.init_noise_sigma:g}"
    timesteps = [step.timestep for step in steps]
    if timesteps[-1] < 0 or not all(earlier > later for earlier, later in pairwise(timesteps)):
        return "timesteps that do not fall"
    return None


def _flatten(nested: Any) -> list[float]:
    """The numbers of nested sequences, in order."""
    if isinstance(nested, list | tuple):
        return [number for inner in nested for number in _flatten(inner)]
    return [nested]
