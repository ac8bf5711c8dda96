"""What is told of a scheduler by its config."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.refusal import refusal
from turbo_webnn.models.schedulers.euler import EULER_SCHEDULERS
from turbo_webnn.models.schedulers.scheduler import scheduler_of
from turbo_webnn.models.source import EMBEDDED

CONFIG = json.loads((EMBEDDED["tiny"] / "scheduler/scheduler_config.json").read_text())


@pytest.mark.parametrize("name", [scheduler.name for scheduler in EULER_SCHEDULERS])
def test_the_classes_that_are_served(name: str) -> None:
    assert scheduler_of({"_class_name": name}, EULER_SCHEDULERS).name == name
    assert scheduler_of(CONFIG | {"_class_name": name}, EULER_SCHEDULERS).name == name


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"_class_name": "PNDMScheduler"}, "the scheduler is a PNDMScheduler; served are EulerDiscreteScheduler and"),
        ({"_class_name": None}, "the scheduler is a None"),
        ({"_class_name": ["EulerDiscreteScheduler"]}, "the scheduler is a ['EulerDiscreteScheduler']"),
        ({"prediction_type": "v_prediction"}, "predicts 'v_prediction'; served is 'epsilon'"),
        ({"prediction_type": None}, "predicts None"),
        ({"beta_start": float("nan")}, "has beta_start = nan; served is a number between 0 and 1"),
        ({"beta_end": float("inf")}, "has beta_end = inf"),
        ({"beta_start": 0}, "has beta_start = 0"),
        ({"beta_start": "0.1"}, "has beta_start = '0.1'"),
        ({"beta_start": True}, "has beta_start = True"),
        ({"beta_schedule": "cubic"}, "has beta_schedule = 'cubic'; served is 'linear' or 'scaled_linear' or"),
        ({"beta_schedule": {}}, "has beta_schedule = {}"),
        ({"trained_betas": [0.1, -1]}, "has trained_betas = [0.1, -1]"),
        ({"trained_betas": 0.1}, "has trained_betas = 0.1"),
        ({"num_train_timesteps": 10**12}, "has num_train_timesteps = 1000000000000"),
        ({"num_train_timesteps": 0}, "has num_train_timesteps = 0; served is a whole number from 1"),
        ({"num_train_timesteps": 1000.0}, "has num_train_timesteps = 1000.0"),
        ({"steps_offset": -1}, "has steps_offset = -1"),
        ({"sigma_min": 0}, "has sigma_min = 0; served is null or a positive number"),
        ({"timestep_spacing": "odd\nspacing"}, r"has timestep_spacing = 'odd\nspacing'"),
        ({"use_karras_sigmas": "yes"}, "has use_karras_sigmas = 'yes'; served is true or false"),
        ({"final_sigmas_type": None}, "has final_sigmas_type = None"),
    ],
)
def test_another_scheduler(values: dict[str, Any], said: str) -> None:
    assert said in refusal(scheduler_of, CONFIG | values, EULER_SCHEDULERS)
