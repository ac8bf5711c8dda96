"""Schedules against diffusers' own schedulers, over every class and option that is served."""

from __future__ import annotations

from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from tests.refusal import refusal
from turbo_webnn.export.schedules import make_schedules
from turbo_webnn.models.schedule import Step

BASE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
EULER, ANCESTRAL = "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"

SHARED: list[dict[str, Any]] = [
    {},
    *({"timestep_spacing": spacing, "steps_offset": 1} for spacing in ("linspace", "leading", "trailing")),
    {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02},
    {"trained_betas": list(np.linspace(0.001, 0.01, 1000))},
    {"num_train_timesteps": 500},
    {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"},
]
OF_EULER: list[dict[str, Any]] = [
    {"use_karras_sigmas": True},
    {"use_karras_sigmas": True, "sigma_min": 0.1, "sigma_max": 10.0},
    {"use_exponential_sigmas": True},
    {"interpolation_type": "log_linear"},
    {"final_sigmas_type": "sigma_min"},
    {"beta_schedule": "squaredcos_cap_v2"},  # diffusers' ancestral scheduler gives NaN on it
    {"use_karras_sigmas": True, "timestep_type": "continuous"},
]


def model(sample: torch.Tensor, timestep: float) -> torch.Tensor:
    """A network that depends on all that it is given."""
    return torch.tanh(sample.roll(1, -1)) * 0.7 + sample * 0.1 + timestep / 2000


def by_numbers(step: Step, latents: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    eps = model(latents * step.input_scale, step.timestep)
    return step.next.latents * latents + step.next.output * eps + step.next.noise * noise


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "options"),
    [*((EULER, options) for options in (*SHARED, *OF_EULER)), *((ANCESTRAL, options) for options in SHARED)],
    ids=str,
)
def test_a_schedule_computes_what_diffusers_computes(name: str, options: dict[str, Any]) -> None:
    config = {"_class_name": name, **BASE, **options}
    found, schedules = make_schedules(config)
    assert found == name
    for count, schedule in schedules.items():
        theirs = getattr(diffusers, name).from_config(config)
        theirs.set_timesteps(count)
        draw = torch.Generator().manual_seed(count)
        latents = torch.randn(1, 4, 8, 8, generator=draw, dtype=torch.float64) * theirs.init_noise_sigma
        ours = latents.clone()
        assert schedule.init_noise_sigma == pytest.approx(float(theirs.init_noise_sigma), rel=1e-7)
        for step, timestep in zip(schedule.steps, theirs.timesteps, strict=True):
            eps = model(theirs.scale_model_input(latents, timestep), float(timestep))
            generator, same = (torch.Generator().manual_seed(7) for _ in range(2))
            latents = theirs.step(eps, timestep, latents, generator=generator).prev_sample.double()
            noise = torch.randn(1, 4, 8, 8, generator=same, dtype=torch.float64)
            ours = by_numbers(step, ours, noise)
            scale = float(latents.abs().max())
            assert float((ours - latents).abs().max()) < 2e-6 * max(scale, 1.0)  # diffusers steps in float32


@pytest.mark.parametrize(
    "options",
    [
        {"timestep_spacing": "middle"},
        {"use_karras_sigmas": True, "use_exponential_sigmas": True},
        {"beta_schedule": "cosine"},
        {"beta_start": 0},
        {"beta_start": -0.1},
        {"beta_end": "0.012"},
        {"num_train_timesteps": 0},
        {"num_train_timesteps": 10**9},
        {"trained_betas": []},
        {"trained_betas": [0.1, "x"]},
        {"prediction_type": "v_prediction"},
        {"prediction_type": ["epsilon"]},
        {"_class_name": "PNDMScheduler"},
        {"_class_name": None},
        {"_class_name": ["EulerDiscreteScheduler"]},
        {"steps_offset": 1.5},
        {"interpolation_type": "cubic", "use_karras_sigmas": False},
        {"use_karras_sigmas": True, "sigma_min": -1.0},
        # two steps of one timestep, at which diffusers' own scheduler runs out of its sigmas
        {"use_karras_sigmas": True, "sigma_max": 100.0},
        {"num_train_timesteps": 2, "timestep_spacing": "trailing"},
        {"num_train_timesteps": 3, "timestep_spacing": "leading"},
        {"use_karras_sigmas": True, "sigma_min": 5.0, "sigma_max": 1.0},
    ],
    ids=str,
)
def test_what_is_no_schedule_is_one_line(options: dict[str, Any]) -> None:
    assert len(refusal(make_schedules, {"_class_name": EULER, **BASE, **options})) < 400


def test_a_library_that_is_absent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffusers.schedulers.scheduling_euler_discrete.is_scipy_available", lambda: False)
    said = refusal(make_schedules, {"_class_name": EULER, **BASE, "use_beta_sigmas": True})
    assert "scipy" in said
