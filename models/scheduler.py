"""What can be told of a scheduler by its config alone, without diffusers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.printable import printable

SERVED_SCHEDULERS = ("EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler")
"""diffusers' classes whose steps `models.schedule.Step` describes."""

MAX_TRAIN_TIMESTEPS = 100_000
"""Published models have 1000; the number is the length of an array."""

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


def require_served_scheduler(config: Mapping[str, Any]) -> str:
    """Refuse a scheduler whose steps a bundle cannot state.

    Returns:
        The scheduler's class.

    Raises:
        RequestError: where the class is not served, it predicts something else than the noise, or a value is not one
            that the class has a meaning for.
    """
    name = config.get("_class_name")
    if name not in SERVED_SCHEDULERS:
        raise RequestError(f"the scheduler is a {_shown(name)}", f"served are {' and '.join(SERVED_SCHEDULERS)}")
    predicted = config.get("prediction_type", "epsilon")
    if predicted != "epsilon":
        raise RequestError(f"the scheduler predicts {_shown(predicted, quoted=True)}", "served is 'epsilon'")
    _require_choices(config)
    _require_numbers(config)
    return str(name)


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
