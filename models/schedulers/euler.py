"""EulerDiscreteScheduler, and EulerAncestralDiscreteScheduler, which adds noise after each step but the last.

A step is x ← x + (sigma' − sigma)·e. x are the latents, sigma and sigma' are the noise levels before and after the
step, and e is the denoiser's output for x / sqrt(sigma² + 1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.printable import printable
from turbo_webnn.models.schedule import Combination, Schedule, Step
from turbo_webnn.models.schedulers.scheduler import Scheduler

MAX_TRAIN_TIMESTEPS = 100_000
"""The largest number of training timesteps. It is the length of an array; published models have 1000."""

_CHOICES: Mapping[str, tuple[object, ...]] = {
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
    "timestep_spacing": ("linspace", "leading", "trailing"),
    "interpolation_type": ("linear", "log_linear"),
    "final_sigmas_type": ("zero", "sigma_min"),
    "timestep_type": ("discrete", "continuous"),
}
_FLAGS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "rescale_betas_zero_snr")
_BETAS = ("beta_start", "beta_end")
_SIGMAS = ("sigma_min", "sigma_max")


class Euler(Scheduler):
    """One of the two Euler schedulers.

    Args:
        name: the name of the class.
        ancestral: whether the scheduler adds noise after a step.
    """

    def __init__(self, name: str, *, ancestral: bool) -> None:
        self.name = name
        self._ancestral = ancestral

    def require_served(self, config: Mapping[str, Any]) -> None:
        """Refuse prediction types other than noise, and values that the class does not know."""
        prediction_type = config.get("prediction_type", "epsilon")
        if prediction_type != "epsilon":
            raise RequestError(f"the scheduler predicts {_shown(prediction_type, quoted=True)}", "served is 'epsilon'")
        if config.get("_use_default_values"):  # diffusers reads the keys in it as if they were not there
            raise _wrong("_use_default_values", config["_use_default_values"], "null or []")
        _require_choices(config)
        _require_numbers(config)

    def schedule(self, config: Mapping[str, Any], count: int) -> Schedule:
        """The schedule of `count` steps, from the sigmas that diffusers computes."""
        scheduler = self.reference(config)
        scheduler.set_timesteps(count)
        sigmas = [float(sigma) for sigma in scheduler.sigmas]
        timesteps = [float(timestep) for timestep in scheduler.timesteps]
        if all(map(math.isfinite, sigmas)) and not _is_falling(sigmas[: count + 1]):
            raise RequestError(
                f"the scheduler's {count} steps have sigmas that do not fall",
                "give the checkpoint's own scheduler_config.json",
            )
        steps = (
            _ancestral_step(timestep, *step_sigmas) if self._ancestral else euler_step(timestep, *step_sigmas)
            for timestep, step_sigmas in zip(timesteps, pairwise(sigmas), strict=False)
        )
        return Schedule(float(scheduler.init_noise_sigma), tuple(steps))

    def reference(self, config: Mapping[str, Any]) -> Any:
        """The scheduler of diffusers."""
        if self._ancestral:
            from diffusers.schedulers.scheduling_euler_ancestral_discrete import EulerAncestralDiscreteScheduler

            return EulerAncestralDiscreteScheduler.from_config(dict(config))
        from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteScheduler

        return EulerDiscreteScheduler.from_config(dict(config))


EULER_SCHEDULERS = (
    Euler("EulerDiscreteScheduler", ancestral=False),
    Euler("EulerAncestralDiscreteScheduler", ancestral=True),
)


def euler_step(timestep: float, sigma: float, next_sigma: float, noise: float = 0.0) -> Step:
    """The step from `sigma` down to `next_sigma`. `noise` times standard normal noise is added after the step."""
    return Step(
        timestep=timestep,
        input_scale=1 / math.sqrt(sigma**2 + 1),
        next=Combination(output=next_sigma - sigma, noise=noise),
        clean=Combination(output=-sigma),
        start=Combination(noise=sigma),
    )


def _ancestral_step(timestep: float, sigma: float, next_sigma: float) -> Step:
    """k-diffusion's ancestral step: it goes below `next_sigma`, and adds the noise that is missing to `next_sigma`."""
    if sigma == 0:  # this is no valid schedule; `export.schedules` refuses it
        return euler_step(timestep, sigma, next_sigma)
    up = (next_sigma**2 * (sigma**2 - next_sigma**2) / sigma**2) ** 0.5
    return euler_step(timestep, sigma, (next_sigma**2 - up**2) ** 0.5, up)


def _is_falling(sigmas: list[float]) -> bool:
    return all(sigma > 0 and sigma >= following >= 0 for sigma, following in pairwise(sigmas))


def _require_choices(config: Mapping[str, Any]) -> None:
    for key, values in _CHOICES.items():
        if key in config and config[key] not in values:
            raise _wrong(key, config[key], " or ".join(map(repr, values)))
    for key in _FLAGS:
        if not isinstance(config.get(key), bool | None):
            raise _wrong(key, config[key], "true or false")


def _require_numbers(config: Mapping[str, Any]) -> None:
    for key in _BETAS:
        if key in config and not _is_within(config[key], 1.0):
            raise _wrong(key, config[key], "a number between 0 and 1")
    betas = config.get("trained_betas")
    if betas is not None and not (isinstance(betas, list) and all(_is_within(beta, 1.0) for beta in betas)):
        raise _wrong("trained_betas", betas, "null, or numbers between 0 and 1")
    for key in _SIGMAS:
        if config.get(key) is not None and not _is_within(config[key], math.inf):
            raise _wrong(key, config[key], "null or a positive number")
    _require_whole(config, "num_train_timesteps", 1)
    _require_whole(config, "steps_offset", 0)


def _require_whole(config: Mapping[str, Any], key: str, least: int) -> None:
    value = config.get(key, least)
    if type(value) is not int or not least <= value <= MAX_TRAIN_TIMESTEPS:
        raise _wrong(key, value, f"a whole number from {least} to {MAX_TRAIN_TIMESTEPS}")


def _is_within(value: object, end: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < end


def _wrong(key: str, value: object, right: str) -> RequestError:
    return RequestError(f"the scheduler has {key} = {_shown(value, quoted=True)}", f"served is {right}")


def _shown(value: object, *, quoted: bool = False) -> str:
    return printable(repr(value) if quoted else str(value), 80)
