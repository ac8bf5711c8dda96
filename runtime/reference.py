"""The reference: diffusers and transformers in PyTorch, float32, one component in memory at a time.

The only module of the runtime that imports torch. Whatever comes out is numpy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import diffusers
import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from models.component import Component, Size
from models.errors import RequestError
from models.family import TOKENS, constant_conditions
from models.json_file import read_json
from models.source import Source
from runtime.conditions import Conditions, Encoded, TokenIds, join
from runtime.evidence import Recorder
from runtime.noise import Float32Array
from runtime.sessions import Array
from runtime.stages import Sampling, latent_shape

_LOADING: dict[str, dict[str, Any]] = {
    "transformers": {"dtype": torch.float32},
    # low_cpu_mem_usage needs accelerate; without it the weights are not initialised for nothing either
    "diffusers": {"torch_dtype": torch.float32, "low_cpu_mem_usage": False},
}


class Reference:
    """The pipeline of `source` with the same methods as `runtime.stages.Stages`, computed by PyTorch.

    Sampling is diffusers' own: its scheduler from the checkpoint's config, its noise from a torch generator.

    Raises:
        RequestError: by each method, where the source lacks the component or its files cannot be read.
    """

    def __init__(self, source: Source, size: Size) -> None:
        self.source = source
        self.record: Recorder | None = None
        self._size = size
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

    def encode_text(self, encoder: str, ids: NDArray[np.int32]) -> Encoded:
        """The outputs of the text encoder of that name, from token ids [batch, 77]."""
        given = self._module(encoder)(torch.from_numpy(ids).long(), output_hidden_states=True)
        outputs = [spec.name for spec in self.source.family.component(encoder).outputs]
        # SDXL's pipelines read the states before the last layer
        states = {name: given[name][-2] if name == "hidden_states" else given[name] for name in outputs}
        return self._told(encoder, {"input_ids": ids}, states)

    def conditions(self, encoded: Sequence[Encoded]) -> Conditions:
        """The UNet's conditions from the outputs of all text encoders."""
        constant = constant_conditions(self.source.family.component("unet"), self._size)
        return join(encoded, constant, self._size.batch)

    def encode_picture(self, sample: Float32Array) -> Float32Array:
        """The mean latents [batch, 4, h, w] of pictures [batch, 3, H, W] in -1…1, times the factor."""
        vae = self._module("vae_encoder")
        mean = vae.encode(torch.from_numpy(sample)).latent_dist.mode()
        told = self._told("vae_encoder", {"sample": sample}, {"latent_sample": mean})
        return told["latent_sample"] * np.float32(vae.config.scaling_factor)

    def sample(self, conditions: Conditions, sampling: Sampling, start: Float32Array | None = None) -> Float32Array:
        """Finished latents [batch, 4, h, w], as StableDiffusionPipeline and its Img2Img sister make them."""
        unet, scheduler = self._module("unet"), _scheduler(self.source)
        generator = torch.Generator().manual_seed(sampling.seed)
        noise = torch.randn(self._latent_shape, generator=generator)
        timesteps, latents = _begin(scheduler, sampling, noise, start)
        told = {name: torch.from_numpy(array) for name, array in conditions.items()}
        states = told.pop("encoder_hidden_states")
        for timestep in timesteps:
            scaled = scheduler.scale_model_input(latents, timestep)
            eps = unet(scaled, timestep, encoder_hidden_states=states, added_cond_kwargs=told).sample
            inputs = {"sample": _numpy(scaled), "timestep": _numpy(timestep).reshape(1), **conditions}
            self._told("unet", inputs, {"out_sample": eps})
            latents = scheduler.step(eps, timestep, latents, generator=generator).prev_sample
        return _numpy(latents)

    def decode(self, latents: Float32Array) -> Float32Array:
        """Pictures [batch, 3, H, W] in about -1…1 from finished latents."""
        vae = self._module("vae_decoder")
        unscaled = latents / np.float32(vae.config.scaling_factor)
        sample = vae.decode(torch.from_numpy(unscaled)).sample
        return self._told("vae_decoder", {"latent_sample": unscaled}, {"sample": sample})["sample"]

    def release(self, component: str) -> None:
        """Give back the memory of `component`, and of its sister where the two are one module."""
        self._modules.pop(self.source.family.component(component).subfolder, None)

    @cached_property
    def _tokenizers(self) -> dict[str, Any]:
        encoders = self.source.family.text_encoders
        return {encoder.name: _load_tokenizer(self.source, str(encoder.tokenizer)) for encoder in encoders}

    def _told(self, component: str, inputs: Mapping[str, Array], outputs: Mapping[str, Any]) -> Encoded:
        arrays = {name: _numpy(output) for name, output in outputs.items()}
        if self.record is not None:
            self.record(component, inputs, arrays)
        return arrays

    def _module(self, name: str) -> Any:
        component = self.source.family.component(name)
        if component.subfolder not in self._modules:
            self._modules[component.subfolder] = load(self.source, component)
        return self._modules[component.subfolder]


def _scheduler(source: Source) -> Any:
    config = source.scheduler_config()
    name = config.get("_class_name", "")
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


def load(source: Source, component: Component) -> Any:
    """The component's module in float32, ready to run; nothing is fetched, and no pickle is opened.

    Raises:
        RequestError: where its config or weights are missing, corrupt, or of another architecture.
    """
    source.config(component)
    source.checkpoint(component)
    folder, variant = source.folder_of(component)
    library = transformers if hasattr(transformers, component.module) else diffusers
    try:
        with _quiet():
            module, loaded = getattr(library, component.module).from_pretrained(
                folder,
                variant=variant,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                **_LOADING[library.__name__],
            )
    except (OSError, ValueError, RuntimeError) as error:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        wrong = f"PyTorch cannot load {component.name} of {source.name} ({first})"
        raise RequestError(wrong, "give a complete diffusers folder") from error
    if loaded["missing_keys"]:  # the libraries put random numbers there, and warn
        name = min(loaded["missing_keys"])
        raise RequestError(f"{component.name} of {source.name} has no tensor {name}", "give a complete checkpoint")
    return module.eval().requires_grad_(False)


def _load_tokenizer(source: Source, name: str) -> Any:
    """transformers' CLIPTokenizer, padding with the token that the published special_tokens_map names.

    SD-Turbo's tokenizer_config names another, and newer transformers read only the latter.
    """
    folder = source.folder / name
    if not folder.is_dir():
        raise RequestError(f"{source.folder} has no {name}", "give a complete diffusers folder")
    with _quiet():
        tokenizer = transformers.CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    if (folder / "special_tokens_map.json").is_file():
        pad = read_json(folder / "special_tokens_map.json").get("pad_token", tokenizer.pad_token)
        tokenizer.pad_token = pad["content"] if isinstance(pad, dict) else pad
    return tokenizer


def _numpy(tensor: Any) -> Float32Array:
    array: Float32Array = tensor.to(torch.float32).numpy()
    return array


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the libraries' own bars and warnings, whose settings are put back."""
    logs = (transformers.utils.logging, diffusers.utils.logging)
    levels = [log.get_verbosity() for log in logs]
    bars = [log.is_progress_bar_enabled() for log in logs]
    for log in logs:
        log.set_verbosity_error()
        log.disable_progress_bar()
    try:
        yield
    finally:
        for log, level, bar in zip(logs, levels, bars, strict=True):
            log.set_verbosity(level)
            if bar:
                log.enable_progress_bar()
