"""diffusers' own scheduler as a sampler: its steps from the checkpoint's config, its noise from a torch generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic

import diffusers
import torch

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.source import Source
from turbo_webnn.runtime.draw.sampler import Sampling
from turbo_webnn.runtime.reference.torch_modules import refused
from turbo_webnn.runtime.tensors.protocol import Value


class DiffusersSampler(Generic[Value]):
    """A run of the scheduler of `source`, as StableDiffusionPipeline and its Img2Img sister make it.

    Args:
        shape: of the latents.
        to_torch: a tensor of PyTorch of a value.
        from_torch: a value of a tensor of PyTorch.
        device: where the scheduler's numbers lie.

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
        self._noise = torch.randn(shape, generator=self._generator).to(device)
        with self._refused():
            self._scheduler = _scheduler(source)
            self._scheduler.set_timesteps(sampling.steps, device=device)
            self._timesteps = self._scheduler.timesteps
            if sampling.strength is not None:  # the pipelines' get_timesteps
                first = sampling.steps - min(int(sampling.steps * sampling.strength), sampling.steps)
                self._scheduler.set_begin_index(first)
                self._timesteps = self._timesteps[first:]

    @property
    def steps(self) -> Sequence[Any]:
        """The timesteps to run."""
        return list(self._timesteps)

    def begin(self, start: Value | None) -> Value:
        """The pipelines' prepare_latents."""
        with self._refused():
            if start is None:
                return self._from_torch(self._noise * self._scheduler.init_noise_sigma)
            return self._from_torch(self._scheduler.add_noise(self._to_torch(start), self._noise, self._timesteps[:1]))

    def scaled(self, latents: Value, step: Any) -> Value:
        """What the denoiser reads of `latents`."""
        with self._refused():
            return self._from_torch(self._scheduler.scale_model_input(self._to_torch(latents), step))

    def timestep(self, step: Any) -> Value:
        """What the denoiser reads as its timestep, [1]."""
        return self._from_torch(step.reshape(1))

    def stepped(self, latents: Value, output: Value, step: Any) -> Value:
        """The latents after `step`."""
        with self._refused():
            predicted, sample = self._to_torch(output), self._to_torch(latents)
            return self._from_torch(
                self._scheduler.step(predicted, step, sample, generator=self._generator).prev_sample
            )

    @contextmanager
    def _refused(self) -> Iterator[None]:
        with refused(self._task):
            yield


def _scheduler(source: Source) -> Any:
    config = source.scheduler_config()
    name = str(config.get("_class_name"))
    served = next((scheduler for scheduler in source.family.schedulers if scheduler.name == name), None)
    if served is not None:
        return served.reference(config)
    kind = getattr(diffusers, name, None)
    if not (name.endswith("Scheduler") and kind):
        raise RequestError(f"diffusers has no scheduler {name!r}", "give the checkpoint's own scheduler_config")
    return kind.from_config(config)
