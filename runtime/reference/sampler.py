"""diffusers' scheduler as a sampler, with the checkpoint's config, and noise from a torch generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic

import diffusers
import torch

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.source import Source
from turbo_webnn.runtime.draw.sampler import Sampling
from turbo_webnn.runtime.reference.torch_modules import as_request_error
from turbo_webnn.runtime.tensors.protocol import Value


class DiffusersSampler(Generic[Value]):
    """One run of the scheduler of `source`, as in StableDiffusionPipeline and StableDiffusionImg2ImgPipeline.

    Args:
        source: the checkpoint.
        sampling: the steps, the seed and the strength.
        shape: the shape of the latents.
        to_torch: converts a value to a tensor of PyTorch.
        from_torch: converts a tensor of PyTorch to a value.
        device: the device of the scheduler's tensors.

    Raises:
        RequestError: by each method, where diffusers cannot use the scheduler's config.
    """

    def __init__(
        self,
        source: Source,
        sampling: Sampling,
        shape: tuple[int, ...],
        to_torch: Callable[[Value], Any],
        from_torch: Callable[[Any], Value],
        *,
        device: str = "cpu",
    ) -> None:
        self._task = f"sample with the scheduler of {source.name}"
        self._to_torch, self._from_torch = to_torch, from_torch
        self._generator = torch.Generator().manual_seed(sampling.seed)
        self._shape, self._device = shape, device
        with self._as_request_error():
            self._scheduler = make_scheduler(source)
            self._scheduler.set_timesteps(sampling.steps, device=device)
            self._timesteps = self._scheduler.timesteps
            if sampling.strength is not None:  # as get_timesteps of the pipelines
                first = sampling.steps - min(int(sampling.steps * sampling.strength), sampling.steps)
                self._scheduler.set_begin_index(first)
                self._timesteps = self._timesteps[first:]

    @property
    def steps(self) -> Sequence[Any]:
        """The timesteps to run."""
        return list(self._timesteps)

    def posterior_noise(self, pictures: int) -> Value:
        """Draw the noise of `pictures` pictures, repeated for the batch, as retrieve_latents of the pipelines."""
        batch, *rest = self._shape
        return self._from_torch(self._draw((pictures, *rest)).repeat(batch // pictures, 1, 1, 1))

    def begin(self, start: Value | None) -> Value:
        """Make the first latents, as prepare_latents of the pipelines."""
        noise = self._draw(self._shape)
        with self._as_request_error():
            if start is None:
                return self._from_torch(noise * self._scheduler.init_noise_sigma)
            return self._from_torch(self._scheduler.add_noise(self._to_torch(start), noise, self._timesteps[:1]))

    def scale_input(self, latents: Value, step: Any) -> Value:
        """Scale `latents` for the denoiser."""
        with self._as_request_error():
            return self._from_torch(self._scheduler.scale_model_input(self._to_torch(latents), step))

    def timestep(self, step: Any) -> Value:
        """The timestep of `step` as an input of the denoiser, [1]."""
        return self._from_torch(step.reshape(1))

    def step(self, latents: Value, output: Value, step: Any) -> Value:
        """Compute the latents after `step` from the denoiser's output."""
        with self._as_request_error():
            model_output, sample = self._to_torch(output), self._to_torch(latents)
            return self._from_torch(
                self._scheduler.step(model_output, step, sample, generator=self._generator).prev_sample
            )

    def _draw(self, shape: tuple[int, ...]) -> Any:
        return torch.randn(shape, generator=self._generator).to(self._device)

    @contextmanager
    def _as_request_error(self) -> Iterator[None]:
        with as_request_error(self._task):
            yield


def make_scheduler(source: Source) -> Any:
    """Make diffusers' scheduler with the config of `source`; RequestError where diffusers has no such class."""
    config = source.scheduler_config()
    name = str(config.get("_class_name"))
    known = next((scheduler for scheduler in source.family.schedulers if scheduler.name == name), None)
    if known is not None:
        return known.reference(config)
    scheduler_class = getattr(diffusers, name, None)
    if not (name.endswith("Scheduler") and scheduler_class):
        raise RequestError(f"diffusers has no scheduler {name!r}", "give the checkpoint's own scheduler_config")
    return scheduler_class.from_config(config)
