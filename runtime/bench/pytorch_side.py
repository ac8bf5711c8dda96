"""The same checkpoint in PyTorch: diffusers' and transformers' modules as they are, or through torch.compile.

On CUDA in the bundle's precision, on the CPU in float32, where PyTorch is at its best.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import diffusers
import torch
from PIL import Image

from turbo_webnn.models.source import Source, open_source
from turbo_webnn.runtime.bench.example import Described, arrays
from turbo_webnn.runtime.bench.protocol import PytorchOptions
from turbo_webnn.runtime.bench.report import Memory
from turbo_webnn.runtime.bench.worker import peak_host_bytes
from turbo_webnn.runtime.reference.torch_modules import FORWARDS, load


class PytorchSide:
    """The modules of `source` on `device`.

    Args:
        inputs: of each component of the bundle.
        conditions: the UNet's inputs that only the size decides: one row each.
    """

    def __init__(
        self,
        source: Source,
        inputs: Mapping[str, Described],
        conditions: Mapping[str, Sequence[float]],
        device: str,
        dtype: Any,
        *,
        compiled: bool,
    ) -> None:
        self._source, self._conditions = source, conditions.keys()
        self._device, self._dtype, self._compiled = device, dtype, compiled
        self._modules: dict[str, Any] = {}
        self._calls: dict[str, Callable[..., Any]] = {}
        self._inputs = {name: self._tensors(described) for name, described in inputs.items()}
        if "unet" in inputs:
            batch = len(self._inputs["unet"]["sample"])
            self._inputs["unet"] |= {name: self._tensor([row] * batch) for name, row in conditions.items()}

    def run(self, component: str) -> float | None:
        """One call of the module, on tensors that are on the device."""
        if component not in self._inputs:
            return None
        return self._timed(lambda: self._call(component, **self._inputs[component]))

    def draw(self, steps: int) -> float:
        """As diffusers' pipelines do without guidance, from token ids to pictures."""
        return self._timed(lambda: self._draw(steps))

    def memory(self) -> Memory:
        """What PyTorch's allocator has taken from the device."""
        return Memory(peak_host_bytes(), torch.cuda.max_memory_reserved() if self._device == "cuda" else None)

    def _timed(self, work: Callable[[], Any]) -> float:
        with torch.inference_mode():
            self._wait()
            began = time.perf_counter()
            work()
            self._wait()
            return time.perf_counter() - began

    def _wait(self) -> None:
        if self._device == "cuda":
            torch.cuda.synchronize()

    def _draw(self, steps: int) -> list[Image.Image]:
        config = self._source.scheduler_config()
        scheduler = getattr(diffusers, config["_class_name"]).from_config(config)
        scheduler.set_timesteps(steps, device=self._device)
        given = [
            self._call(encoder.name, **self._inputs[encoder.name]) for encoder in self._source.family.text_encoders
        ]
        told = {name: self._inputs["unet"][name] for name in self._conditions}
        told |= {name: value for outputs in given for name, value in zip(("text_embeds",), outputs[1:], strict=False)}
        states = torch.cat([outputs[0] for outputs in given], dim=-1)
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(self._inputs["unet"]["sample"].shape, generator=generator)
        latents = noise.to(self._device, self._dtype) * scheduler.init_noise_sigma
        for timestep in scheduler.timesteps:
            scaled = scheduler.scale_model_input(latents, timestep)
            (eps,) = self._call("unet", sample=scaled, timestep=timestep[None], encoder_hidden_states=states, **told)
            latents = scheduler.step(eps, timestep, latents, generator=generator).prev_sample
        factor = self._module("vae_decoder").config.scaling_factor
        (sample,) = self._call("vae_decoder", latent_sample=(latents / factor).to(self._dtype))
        pixels = (sample.float() / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1)
        return [Image.fromarray(picture) for picture in pixels.contiguous().cpu().numpy()]

    def _call(self, component: str, **inputs: Any) -> tuple[Any, ...]:
        if component not in self._calls:
            call = self._plain(component)
            # CUDA graphs, as ours; on the CPU inductor's default
            mode = "reduce-overhead" if self._device == "cuda" else None
            self._calls[component] = torch.compile(call, mode=mode) if self._compiled else call
        if self._compiled and self._device == "cuda":
            torch.compiler.cudagraph_mark_step_begin()
            return tuple(output.clone() for output in self._calls[component](**inputs))
        return tuple(self._calls[component](**inputs))

    def _plain(self, name: str) -> Callable[..., tuple[Any, ...]]:
        """The component as a function of its contract's inputs to a tuple of its outputs."""
        module, component, forward = self._module(name), self._source.family.component(name), FORWARDS[name]
        return lambda **inputs: forward(module, component, inputs)

    def _module(self, name: str) -> Any:
        component = self._source.family.component(name)
        if component.subfolder not in self._modules:
            self._modules[component.subfolder] = load(self._source, component).to(self._device, self._dtype)
        return self._modules[component.subfolder]

    def _tensors(self, described: Described) -> dict[str, Any]:
        return {name: self._tensor(array) for name, array in arrays(described).items()}

    def _tensor(self, array: Any) -> Any:
        made = torch.as_tensor(array)
        return made.to(self._device, self._dtype if made.is_floating_point() else torch.int64)


def side(options: PytorchOptions) -> PytorchSide:
    """The checkpoint that `options` name; it is opened anew, for this is a process of its own."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision("high" if options.tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = options.tf32
    torch.backends.cudnn.benchmark = options.provider == "cuda"  # shapes are static here too
    source, components = options.source, tuple(options.inputs)
    opened = open_source(
        str(source["name"]), variant=source["variant"], revision=source["revision"], components=components
    )
    dtype = torch.float32 if options.provider == "cpu" or options.precision == "fp32" else torch.float16
    return PytorchSide(opened, options.inputs, options.conditions, options.provider, dtype, compiled=options.compiled)
