"""A bundle's components on one device, with all that lies between them: the counterpart of `draw.stages.Stages`.

Arrays are slots. Token ids, noise and a few numbers go to the device; pixels come back.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.chain import Graph
from turbo_webnn.runtime.draw import images, sampler
from turbo_webnn.runtime.draw.noise import Float32Array, NoiseSource
from turbo_webnn.runtime.draw.stages import Sampling, Timing, latent_shape
from turbo_webnn.runtime.ort.loading import load
from turbo_webnn.runtime.ort.sessions import Provider
from turbo_webnn.runtime.ort.settings import Settings
from turbo_webnn.runtime.tensors.arithmetic import Arithmetic
from turbo_webnn.runtime.tensors.bound import Bound
from turbo_webnn.runtime.tensors.slots import Slot, Slots


class DeviceStages:
    """The components of `bundle`, bound to slots: what one returns is overwritten by the next drawing.

    Sessions on CUDA are captured as graphs where they stay loaded.

    Attributes:
        settings: how onnxruntime runs them.
        timings: seconds by component.

    Raises:
        RequestError: by each method, where the bundle lacks the component, or it does not load or run.
    """

    def __init__(
        self, bundle: Bundle, provider: Provider | Settings | None = None, *, keep_graphs: bool = True
    ) -> None:
        self.bundle = bundle
        self.settings = Settings.of(provider)
        self.timings: dict[str, Timing] = {}
        self._keep_graphs = keep_graphs
        self._slots = Slots(self.settings)
        self._arithmetic = Arithmetic(self.settings, self._slots)
        self._bound: dict[str, dict[Graph, Bound]] = {}
        self._shape = latent_shape(bundle.manifest.size)

    @staticmethod
    def serves(bundle: Bundle) -> bool:
        """Whether the components of `bundle` have the contract's names and shapes, as the layout webnn gives them."""
        return bundle.manifest.layout == "webnn" and bundle.manifest.vae_encoder_output == "mean"

    def encode_text(self, encoder: str, ids: NDArray[np.int32]) -> dict[str, Slot]:
        """What the text encoder of that name makes of token ids [batch, 77]."""
        return self.run(encoder, {"input_ids": ids})

    def conditions(self, encoded: Sequence[Mapping[str, Slot]]) -> dict[str, Slot]:
        """The UNet's own slots, filled with what every text encoder made of the prompt and with what never changes."""
        held = {tensor.name: self._slots.of("unet", tensor) for tensor in self.bundle.chain("unet").inputs}
        states = [next(iter(outputs.values())) for outputs in encoded]
        further = {name: slot for outputs in encoded for name, slot in list(outputs.items())[1:]}
        copied = [(slot, held[name]) for name, slot in further.items()]
        self._arithmetic.join(states, held["encoder_hidden_states"], copied)
        for name, row in self.bundle.manifest.conditions.items():
            held[name].put(np.tile(np.array(row, np.float32), (self._shape[0], 1)))
        return held

    def encode_picture(self, sample: Float32Array) -> Slot:
        """The mean latents [batch, 4, h, w] of pictures [batch, 3, H, W] in -1…1, times the factor, float32."""
        (mean,) = self.run("vae_encoder", {"sample": sample}).values()
        start = self._latents("start")
        self._arithmetic.multiply(mean, self.bundle.manifest.scaling_factor, start)
        return start

    def sample(
        self,
        conditions: Mapping[str, Slot],
        sampling: Sampling,
        start: Slot | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> Slot:
        """Finished latents [batch, 4, h, w], float32, from noise or, with a strength, from a picture's `start`.

        Raises:
            RequestError: where the bundle has no such schedule, or the strength leaves no step to run.
        """
        schedule = sampler.plan(self.bundle.manifest.schedules, sampling.steps)
        source, noise = NoiseSource(sampling.seed), self._latents("noise")
        latents, other = self._latents("latents"), self._latents("latents, in turn")
        if sampling.strength is None or start is None:
            first = 0
            latents.put(sampler.pure_noise(schedule, self._shape, source))
        else:
            first = sampler.entry(schedule, sampling.strength)
            noise.put(source.normal(self._shape))
            self._arithmetic.add(start, noise, schedule.steps[first].sigma, latents)
        for done, step in enumerate(schedule.steps[first:], 1):
            self._arithmetic.divide(latents, math.sqrt(step.sigma**2 + 1.0), conditions["sample"])
            (eps,) = self.run("unet", {"timestep": np.array([step.timestep])}).values()
            self._arithmetic.add(latents, eps, step.next_sigma - step.sigma, other)
            latents, other = other, latents
            if step.noise_scale:
                noise.put(source.normal(self._shape))
                self._arithmetic.add(latents, noise, step.noise_scale, other)
                latents, other = other, latents
            if on_step is not None:
                on_step(done)
        return latents

    def decode(self, latents: Slot) -> Slot:
        """Pictures [batch, 3, H, W] in about -1…1 from finished latents."""
        (taken,) = self.bundle.chain("vae_decoder").inputs
        self._arithmetic.divide(latents, self.bundle.manifest.scaling_factor, self._slots.of("vae_decoder", taken))
        (sample,) = self.run("vae_decoder", {}).values()
        return sample

    def pixels(self, sample: Slot) -> images.Pixels:
        """`sample` [batch, 3, H, W] of the decoder in eight bits, on the host: [batch, H, W, 3]."""
        batch, channels, height, width = sample.tensor.shape
        pixels = self._slots.at("pixels", "uint8", (batch, height, width, channels))
        self._arithmetic.pixels(sample, pixels)
        return pixels.get()

    def finite(self, value: Slot) -> bool:
        """Whether every number of `value` is one."""
        return self._arithmetic.finite(value)

    def flagged(self, clip_input: Float32Array) -> list[bool]:
        """Whether the safety checker refuses each picture [batch, 3, 224, 224], prepared as CLIP reads them."""
        (found,) = self.run("safety_checker", {"clip_input": clip_input}).values()
        return [bool(flag) for flag in found.get()]

    def on_host(self, value: Slot) -> Float32Array:
        """A copy of `value` on the host, in float32."""
        return value.get().astype(np.float32, copy=False)

    def run(self, component: str, put: Mapping[str, NDArray[Any]]) -> dict[str, Slot]:
        """All outputs of `component`, by name, from the inputs `put` and from what its other slots hold."""
        chain = self.bundle.chain(component)
        slots = {tensor.name: self._slots.of(component, tensor) for tensor in chain.inputs}
        began, loading = time.perf_counter(), 0.0
        for name, array in put.items():
            slots[name].put(array)
        for graph in chain.graphs:
            slots |= {tensor.name: self._slots.of(component, tensor) for tensor in graph.outputs}
            loads = time.perf_counter()
            bound = self._graph(component, graph)
            loading += time.perf_counter() - loads
            bound.run(
                {tensor.name: slots[tensor.name] for tensor in graph.inputs},
                {tensor.name: slots[tensor.name] for tensor in graph.outputs},
            )
            del bound  # it is to leave before the next one comes
        spent, running = self.timings.get(component, Timing()), time.perf_counter() - began - loading
        self.timings[component] = Timing(spent.load + loading, spent.run + running)
        return {tensor.name: slots[tensor.name] for tensor in chain.outputs}

    def release(self, component: str | None = None) -> None:
        """Give back the memory of `component`, or of all, but for what crosses their boundaries."""
        if component is None:
            self._bound.clear()
        else:
            self._bound.pop(component, None)

    def _latents(self, name: str) -> Slot:
        return self._slots.at(name, "float32", self._shape)

    def _graph(self, component: str, graph: Graph) -> Bound:
        held = self._bound.setdefault(component, {})
        if graph not in held:
            if not self._keep_graphs:
                held.clear()
            stays = self._keep_graphs
            session = load(self.bundle, graph, self.settings, bound=stays)
            captured = self.settings.captures(bound=stays)
            held[graph] = Bound(session, self.settings.run_options(bound=stays), captured=captured)
        return held[graph]
