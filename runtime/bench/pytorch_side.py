"""The same checkpoint in PyTorch: modules of diffusers and transformers, unchanged or through torch.compile.

On CUDA they run in the bundle's precision. On the CPU they run in float32, where PyTorch is fastest.
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
from turbo_webnn.runtime.bench.example import InputSpecs, arrays
from turbo_webnn.runtime.bench.protocol import PytorchOptions
from turbo_webnn.runtime.bench.report import Memory
from turbo_webnn.runtime.bench.worker import peak_host_bytes
from turbo_webnn.runtime.draw.sampler import Sampling
from turbo_webnn.runtime.reference.loading import load
from turbo_webnn.runtime.reference.sampler import DiffusersSampler
from turbo_webnn.runtime.reference.source_drawer import SourceDrawer
from turbo_webnn.runtime.reference.torch_tensors import TorchTensors


class PytorchDrawer(SourceDrawer[Any]):
    """Draws with the modules of `source` on `device`.

    Attributes:
        device: `cuda` or `cpu`.
    """

    def __init__(self, source: Source, size: Size, device: str, dtype: Any, *, compiled: bool) -> None:
        self.tensors = TorchTensors(device, dtype)
        super().__init__(source, size)
        self.device, self._dtype, self._compiled = device, dtype, compiled
        self._modules: dict[str, Any] = {}
        self._calls: dict[str, Callable[..., Any]] = {}

    def sampler(self, sampling: Sampling) -> DiffusersSampler[Any]:
        """Make a sampler with diffusers' scheduler."""
        typed = partial(torch.Tensor.to, dtype=self._dtype)
        return DiffusersSampler(self.source, sampling, self._latent_shape, _identity, typed, device=self.device)

    def run(self, component: str, inputs: Mapping[str, Any], /) -> dict[str, Any]:
        """Run `component`, and return all outputs by name."""
        names = [spec.name for spec in self.source.family.component(component).outputs]
        return dict(zip(names, self._call(component, inputs), strict=True))

    def release(self, component: str | None = None) -> None:
        """Do nothing: modules stay loaded while they are timed."""

    def _call(self, component: str, inputs: Mapping[str, Any]) -> tuple[Any, ...]:
        if component not in self._calls:
            call = self._function(component)
            # CUDA graphs, as in our runtime; inductor's default on the CPU
            mode = "reduce-overhead" if self.device == "cuda" else None
            self._calls[component] = torch.compile(call, mode=mode) if self._compiled else call
        if self._compiled and self.device == "cuda":
            torch.compiler.cudagraph_mark_step_begin()
            return tuple(output.clone() for output in self._calls[component](**inputs))
        return tuple(self._calls[component](**inputs))

    def _function(self, name: str) -> Callable[..., tuple[Any, ...]]:
        """The component as a function from the inputs of its contract to a tuple of outputs."""
        module, component = self._module(name), self.source.family.component(name)
        return lambda **inputs: component.part.reference(module, component, inputs)

    def _module(self, name: str) -> Any:
        component = self.source.family.component(name)
        if component.subfolder not in self._modules:
            self._modules[component.subfolder] = load(self.source, component).to(self.device, self._dtype)
        return self._modules[component.subfolder]


class PytorchSide:
    """Times a PyTorch pipeline.

    Args:
        drawer: the pipeline.
        inputs: the input specs of each component of the bundle.
        conditions: the inputs of the denoiser that depend only on the size, by name. A bundle may not have them.
    """

    def __init__(
        self, drawer: PytorchDrawer, inputs: Mapping[str, InputSpecs], conditions: Mapping[str, Sequence[float]]
    ) -> None:
        self._drawer = drawer
        self._inputs = {
            name: {tensor: drawer.tensors.write(array) for tensor, array in arrays(specs).items()}
            for name, specs in inputs.items()
        }
        facts = drawer.facts
        if facts.wiring.denoiser in inputs:
            rows = {name: np.array([row] * facts.batch, np.float32) for name, row in conditions.items()}
            self._inputs[facts.wiring.denoiser] |= {name: drawer.tensors.write(row) for name, row in rows.items()}

    def run(self, component: str) -> float | None:
        """Time one call of the module on tensors on the device."""
        if component not in self._inputs:
            return None
        return self._measure(lambda: self._drawer.run(component, self._inputs[component]))

    def draw(self, steps: int) -> float:
        """Time one drawing from token ids to pictures, as diffusers' pipelines draw without guidance."""
        return self._measure(lambda: self._draw(steps))

    def memory(self) -> Memory:
        """The peaks of host memory, and of the device memory that PyTorch's allocator reserved."""
        device = torch.cuda.max_memory_reserved() if self._on_cuda else None
        return Memory(peak_host_bytes(), device)

    @property
    def _on_cuda(self) -> bool:
        return self._drawer.device == "cuda"

    def _measure(self, function: Callable[[], Any]) -> float:
        with torch.inference_mode():
            self._synchronize()
            start_time = time.perf_counter()
            function()
            self._synchronize()
            return time.perf_counter() - start_time

    def _synchronize(self) -> None:
        if self._on_cuda:
            torch.cuda.synchronize()

    def _draw(self, steps: int) -> list[Image.Image]:
        drawer = self._drawer
        encoders = drawer.facts.family.text_encoders
        encoded = [drawer.run(encoder.name, self._inputs[encoder.name]) for encoder in encoders]
        sample = drawer.decode(drawer.sample(drawer.conditions(encoded), Sampling(steps)))
        return [Image.fromarray(picture) for picture in drawer.tensors.to_pixels(sample)]


def _identity(tensor: Any) -> Any:
    return tensor


def side(options: PytorchOptions) -> PytorchSide:
    """Make the side for `options`. The checkpoint is opened again, because this is another process."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision("high" if options.tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = options.tf32
    torch.backends.cudnn.benchmark = options.provider == "cuda"  # shapes are static here too
    names, components = options.source, tuple(options.inputs)
    source = open_source(
        str(names["name"]), variant=names["variant"], revision=names["revision"], components=components
    )
    dtype = torch.float32 if options.provider == "cpu" or options.precision == "fp32" else torch.float16
    drawer = PytorchDrawer(source, options.size, options.provider, dtype, compiled=options.compiled)
    return PytorchSide(drawer, options.inputs, options.conditions)
