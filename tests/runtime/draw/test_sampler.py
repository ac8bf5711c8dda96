from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler, EulerDiscreteScheduler

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.schedule import Schedule
from turbo_webnn.models.schedulers.euler import euler_step
from turbo_webnn.runtime.draw import sampler
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.draw.sampler import Sampling, ScheduleSampler
from turbo_webnn.runtime.tensors.host import HostTensors

SHAPE = (1, 4, 8, 8)
CONFIG = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "trailing",
    "steps_offset": 1,
}


def of_diffusers(scheduler: EulerDiscreteScheduler, *, ancestral: bool) -> Schedule:
    """The plain numbers of a diffusers scheduler whose timesteps are set."""
    sigmas = [float(sigma) for sigma in scheduler.sigmas]
    steps = []
    for timestep, sigma, goal in zip(scheduler.timesteps, sigmas, sigmas[1:], strict=False):
        up = (goal**2 * (sigma**2 - goal**2) / sigma**2) ** 0.5 if ancestral else 0.0
        steps.append(euler_step(float(timestep), sigma, (goal**2 - up**2) ** 0.5, up))
    return Schedule(float(scheduler.init_noise_sigma), tuple(steps))


def unet(latents: Float32Array, timestep: float) -> Float32Array:
    """Something that depends on both and is not linear."""
    return np.tanh(latents) + np.float32(timestep / 1000)


@pytest.mark.parametrize("ancestral", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_the_latents_are_those_of_diffusers(steps: int, ancestral: bool) -> None:
    kind = EulerAncestralDiscreteScheduler if ancestral else EulerDiscreteScheduler
    scheduler = kind(**CONFIG)
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(3)
    expected = torch.randn(SHAPE, generator=generator) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        scaled = scheduler.scale_model_input(expected, timestep)
        eps = torch.from_numpy(unet(scaled.numpy(), float(timestep)))
        expected = scheduler.step(eps, timestep, expected, generator=generator).prev_sample

    run = ScheduleSampler(of_diffusers(scheduler, ancestral=ancestral), Sampling(steps, 3), SHAPE, HostTensors())
    told: list[int] = []
    drawn = sampler.sample(run, lambda scaled, timestep: unet(scaled, float(timestep[0])), None, told.append)

    assert drawn.dtype == np.float32
    assert told == list(range(1, steps + 1))
    np.testing.assert_allclose(drawn, expected.numpy(), rtol=1e-5, atol=1e-5)


def test_image_to_image_enters_as_diffusers_adds_noise() -> None:
    scheduler = EulerDiscreteScheduler(**CONFIG)
    scheduler.set_timesteps(4)
    schedule = of_diffusers(scheduler, ancestral=False)
    picture = np.linspace(-1, 1, 256, dtype=np.float32).reshape(SHAPE)
    first = sampler.first_step(schedule, 0.5)
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(5))
    expected = scheduler.add_noise(torch.from_numpy(picture), noise, scheduler.timesteps[first : first + 1])

    drawn = ScheduleSampler(schedule, Sampling(4, 5, 0.5), SHAPE, HostTensors()).begin(picture)

    assert first == 2
    np.testing.assert_allclose(drawn, expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("steps", "smallest"), [(1, "1"), (2, "0.5"), (3, "0.34"), (4, "0.25")])
def test_a_strength_too_small_is_told_the_smallest_that_works(steps: int, smallest: str) -> None:
    schedule = Schedule(1.0, (euler_step(1.0, 1.0, 0.0),) * steps)
    with pytest.raises(RequestError, match=f"smallest strength is {smallest}$"):
        sampler.first_step(schedule, 0.1)
    assert sampler.first_step(schedule, float(smallest)) == steps - 1


@pytest.mark.parametrize("strength", [0.0, -1.0, 1.01, float("nan")])
def test_a_strength_out_of_range(strength: float) -> None:
    with pytest.raises(RequestError, match="not above 0 and at most 1"):
        sampler.first_step(Schedule(1.0, (euler_step(1.0, 1.0, 0.0),)), strength)


def test_steps_without_a_schedule() -> None:
    schedule = Schedule(1.0, (euler_step(1.0, 1.0, 0.0),))
    with pytest.raises(RequestError, match="no schedule of 5 steps; there are 1, 2"):
        sampler.plan({2: replace(schedule), 1: schedule}, 5)
