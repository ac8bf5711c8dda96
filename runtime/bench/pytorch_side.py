"""The same checkpoint in PyTorch: diffusers' and transformers' modules as they are, or through torch.compile.

On CUDA in the bundle's precision, on the CPU in float32, where PyTorch is at its best.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image

from turbo_webnn.models.component import Size
from turbo_webnn.models.source import Source, open_source
from turbo_webnn.runtime.bench.example import Described, arrays
from turbo_webnn.runtime.bench.protocol import PytorchOptions
from turbo_webnn.runtime.bench.report import Memory
from turbo_webnn.runtime.bench.worker import peak_host_bytes
from turbo_webnn.runtime.draw.drawer import Drawer, Facts
from turbo_webnn.runtime.draw.sampler import Sampling
from turbo_webnn.runtime.reference.sampler import DiffusersSampler
from turbo_webnn.runtime.reference.torch_modules import load
from turbo_webnn.runtime.reference.torch_tensors import TorchTensors


class PytorchDrawer(Drawer[Any]):
    """The modules of `source` on `device`.

    Attributes:
        device: `cuda` or `cpu`.
    """

    def __init__(self, source: Source, size: Size, device: str, dtype: Any, *, compiled: bool) -> None:
        self.tensors = TorchTensors(device, dtype)
        self._source, self._size = source, size
        self.device, self._dtype, self._compiled = device, dtype, compiled
        self._modules: dict[str, Any] = {}
        self._calls: dict[str, Callable[..., Any]] = {}

    @property
    def facts(self) -> Facts:
        """As the checkpoint's configs and its family state them."""
        family = self._source.family
        scaling_factor = float(self._module(family.wiring.decoder).config.scaling_factor)
        constants = family.denoiser.constants(self._size)
        return Facts(family, family.wiring, self._size.batch, scaling_factor, constants)

    def sampler(self, sampling: Sampling) -> DiffusersSampler[Any]:
        """Diffusers' own scheduler."""
        family = self._source.family
        spec = next(spec for spec in family.denoiser.inputs if spec.name == family.wiring.latents)
        shape = spec.shape(self._size, self._source.config(family.denoiser))
        typed = partial(torch.Tensor.to, dtype=self._dtype)
        return DiffusersSampler(self._source, sampling, shape, _same, typed, device=self.device)

    def run(self, component: str, inputs: Mapping[str, Any], /) -> dict[str, Any]:
        """All outputs of `component`, by name."""
        names = [spec.name for spec in self._source.family.component(component).outputs]
        return dict(zip(names, self._call(component, inputs), strict=True))

    def release(self, component: str | None = None) -> None:
        """Nothing: what is timed stays loaded."""

    def _call(self, component: str, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        if component not in self._calls:
            call = self._plain(component)
            # CUDA graphs, as ours; on the CPU inductor's default
            mode = "reduce-overhead" if self.device == "cuda" else None
            self._calls[component] = torch.compile(call, mode=mode) if self._compiled else call
        if self._compiled and self.device == "cuda":
            torch.compiler.cudagraph_mark_step_begin()
            return tuple(output.clone() for output in self._calls[component](**inputs))
        return tuple(self._calls[component](**inputs))

    def _plain(self, name: str) -> Callable[..., tuple[Any, ...]]:
        """The component as a function of its contract's inputs to a tuple of its outputs."""
        module, component = self._module(name), self._source.family.component(name)
        return lambda **inputs: component.part.reference(module, component, inputs)

    def _module(self, name: str) -> Any:
        component = self._source.family.component(name)
        if component.subfolder not in self._modules:
            self._modules[component.subfolder] = load(self._source, component).to(self.device, self._dtype)
        return self._modules[component.subfolder]


class PytorchSide:
    """What is timed of a PyTorch pipeline.

    Args:
        inputs: of each component of the bundle.
        conditions: the denoiser's inputs that only the size decides, by name: a bundle may lack them.
    """

    def __init__(
        self, drawer: PytorchDrawer, inputs: Mapping[str, Described], conditions: Mapping[str, Sequence[float]]
    ) -> None:
        self._drawer = drawer
        self._inputs = {
            name: {tensor: drawer.tensors.write(array) for tensor, array in arrays(described).items()}
            for name, described in inputs.items()
        }
        facts = drawer.facts
        if facts.wiring.denoiser in inputs:
            rows = {name: np.array([row] * facts.batch, np.float32) for name, row in conditions.items()}
            self._inputs[facts.wiring.denoiser] |= {name: drawer.tensors.write(row) for name, row in rows.items()}

    def run(self, component: str) -> float | None:
        """One call of the module, on tensors that are on the device."""
        if component not in self._inputs:
            return None
        return self._timed(lambda: self._drawer.run(component, self._inputs[component]))

    def draw(self, steps: int) -> float:
        """As diffusers' pipelines do without guidance, from token ids to pictures."""
        return self._timed(lambda: self._draw(steps))

    def memory(self) -> Memory:
        """What PyTorch's allocator has taken from the device."""
        device = torch.cuda.max_memory_reserved() if self._on_cuda else None
        return Memory(peak_host_bytes(), device)

    @property
    def _on_cuda(self) -> bool:
        return self._drawer.device == "cuda"

    def _timed(self, work: Callable[[], Any]) -> float:
        with torch.inference_mode():
            self._wait()
            began = time.perf_counter()
            work()
            self._wait()
            return time.perf_counter() - began

    def _wait(self) -> None:
        if self._on_cuda:
            torch.cuda.synchronize()

    def _draw(self, steps: int) -> list[Image.Image]:
        drawer = self._drawer
        encoders = drawer.facts.family.text_encoders
        encoded = [drawer.run(encoder.name, self._inputs[encoder.name]) for encoder in encoders]
        sample = drawer.decode(drawer.sample(drawer.conditions(encoded), Sampling(steps)))
        return [Image.fromarray(picture) for picture in drawer.tensors.to_pixels(sample)]


def _same(tensor: Any) -> Any:
    return tensor


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
    drawer = PytorchDrawer(opened, options.size, options.provider, dtype, compiled=options.compiled)
    return PytorchSide(drawer, options.inputs, options.conditions)
