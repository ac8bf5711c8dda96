"""The reference: diffusers and transformers in PyTorch, one component in memory at a time.

With `runtime.reference.torch_modules` all of the runtime that imports torch. Whatever comes out is numpy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray

from turbo_webnn.models.clip_tokenizer import open_clip_tokenizer
from turbo_webnn.models.component import Size
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.family import TOKENS, constant_conditions
from turbo_webnn.models.precision import Precision
from turbo_webnn.models.source import Source
from turbo_webnn.runtime.draw.conditions import Conditions, Encoded, TokenIds, join
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.draw.stages import Sampling, latent_shape
from turbo_webnn.runtime.ort.sessions import Array
from turbo_webnn.runtime.reference.torch_modules import (
    FORWARDS,
    TYPES,
    Float16Products,
    Keep,
    kept,
    load,
    quiet,
    refused,
    to_numpy,
)
from turbo_webnn.runtime.verification.evidence import Recorder


class Reference:
    """The pipeline of `source` with the same methods as `runtime.draw.stages.Stages`, computed by PyTorch.

    Sampling is diffusers' own: its scheduler from the checkpoint's config, its noise from a torch generator. It is
    in float32 whatever `precision` is, as the bundle's is: `fp16` is of the modules.

    Raises:
        RequestError: by each method, where the source lacks the component or its files cannot be read.
    """

    def __init__(self, source: Source, size: Size, precision: Precision = "fp32") -> None:
        self.source = source
        self.record: Recorder | None = None
        self._size = size
        self._type = TYPES[precision]
        self._latent_shape = latent_shape(size)
        self._modules: dict[str, Any] = {}

    def token_ids(self, prompt: str) -> TokenIds:
        """The ids [1, 77] of `prompt` by text encoder, as diffusers' pipelines ask their tokenizers for them."""
        return {
            encoder: np.array(
                [tokenizer(prompt, padding="max_length", max_length=TOKENS, truncation=True).input_ids], np.int32
            )
            for encoder, tokenizer in self._tokenizers.items()
        }

    def run(self, component: str, inputs: Mapping[str, Array], keep: Keep | None = None) -> Encoded:
        """All outputs of `component`, by name.

        Args:
            component: the name of the component.
            inputs: arrays by name.
            keep: told of the output of every module inside that gives one tensor.
        """
        module, part = self._module(component), self.source.family.component(component)
        given = {name: self._tensor(array) for name, array in inputs.items()}
        forward = FORWARDS[component]
        with Float16Products(), kept(module, keep), refused(f"run {component} of {self.source.name}"):
            outputs = forward(module, part, given)
        arrays = {spec.name: to_numpy(output) for spec, output in zip(part.outputs, outputs, strict=True)}
        if self.record is not None:
            self.record(component, inputs, arrays)
        return arrays

    def encode_text(self, encoder: str, ids: NDArray[np.int32]) -> Encoded:
        """The outputs of the text encoder of that name, from token ids [batch, 77]."""
        return self.run(encoder, {"input_ids": ids})

    def conditions(self, encoded: Sequence[Encoded]) -> Conditions:
        """The UNet's conditions from the outputs of all text encoders."""
        constant = constant_conditions(self.source.family.component("unet"), self._size)
        return join(encoded, constant, self._size.batch)

    def encode_picture(self, sample: Float32Array) -> Float32Array:
        """The mean latents [batch, 4, h, w] of pictures [batch, 3, H, W] in -1…1, times the factor."""
        encoded = self.run("vae_encoder", {"sample": sample})
        return encoded["latent_sample"] * np.float32(self._module("vae_encoder").config.scaling_factor)

    def sample(self, conditions: Conditions, sampling: Sampling, start: Float32Array | None = None) -> Float32Array:
        """Finished latents [batch, 4, h, w], as StableDiffusionPipeline and its Img2Img sister make them."""
        sampled = f"sample with the scheduler of {self.source.name}"
        generator = torch.Generator().manual_seed(sampling.seed)
        noise = torch.randn(self._latent_shape, generator=generator)
        with refused(sampled):
            scheduler = _scheduler(self.source)
            timesteps, latents = _begin(scheduler, sampling, noise, start)
        for timestep in timesteps:
            scaled = scheduler.scale_model_input(latents, timestep)
            inputs = {"sample": to_numpy(scaled), "timestep": to_numpy(timestep).reshape(1), **conditions}
            eps = torch.from_numpy(self.run("unet", inputs)["out_sample"])
            with refused(sampled):
                latents = scheduler.step(eps, timestep, latents, generator=generator).prev_sample
        return to_numpy(latents)

    def decode(self, latents: Float32Array) -> Float32Array:
        """Pictures [batch, 3, H, W] in about -1…1 from finished latents."""
        unscaled = latents / np.float32(self._module("vae_decoder").config.scaling_factor)
        return self.run("vae_decoder", {"latent_sample": unscaled})["sample"]

    def release(self, component: str) -> None:
        """Give back the memory of `component`, and of its sister where the two are one module."""
        self._modules.pop(self.source.family.component(component).subfolder, None)

    @cached_property
    def _tokenizers(self) -> dict[str, Any]:
        encoders, folder = self.source.family.text_encoders, self.source.folder
        with quiet():
            return {encoder.name: open_clip_tokenizer(folder / str(encoder.tokenizer)) for encoder in encoders}

    def _tensor(self, array: Array) -> Any:
        tensor = torch.from_numpy(array)
        return tensor.to(self._type) if tensor.is_floating_point() else tensor.long()

    def _module(self, name: str) -> Any:
        component = self.source.family.component(name)
        if component.subfolder not in self._modules:
            self._modules[component.subfolder] = load(self.source, component, self._type)
        return self._modules[component.subfolder]


def _scheduler(source: Source) -> Any:
    config = source.scheduler_config()
    name = str(config.get("_class_name"))
    kind = getattr(diffusers, name, None)
    if not (name.endswith("Scheduler") and kind):
        raise RequestError(f"diffusers has no scheduler {name!r}", "give the checkpoint's own scheduler_config")
    return kind.from_config(config)


def _begin(scheduler: Any, sampling: Sampling, noise: Any, start: Float32Array | None) -> tuple[Any, Any]:
    """The timesteps to run and the first latents: the pipelines' get_timesteps and prepare_latents."""
    scheduler.set_timesteps(sampling.steps)
    if sampling.strength is None or start is None:
        return scheduler.timesteps, noise * scheduler.init_noise_sigma
    first = sampling.steps - min(int(sampling.steps * sampling.strength), sampling.steps)
    scheduler.set_begin_index(first)
    timesteps = scheduler.timesteps[first:]
    return timesteps, scheduler.add_noise(torch.from_numpy(start), noise, timesteps[:1])
