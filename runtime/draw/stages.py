"""A bundle's components as functions of float32 arrays, each loaded when it is first called."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.component import Size
from turbo_webnn.runtime.draw import images, sampler
from turbo_webnn.runtime.draw.conditions import Conditions, Encoded, join
from turbo_webnn.runtime.draw.noise import Float32Array, NoiseSource
from turbo_webnn.runtime.ort.boundary import Boundary
from turbo_webnn.runtime.ort.sessions import Array, Provider, Session, Settings, Watch


@dataclass(frozen=True)
class Sampling:
    """How latents are made.

    Attributes:
        steps: length of the schedule.
        seed: of the noise; one seed serves the whole batch, as one torch generator would.
        strength: how much of a picture is drawn anew, above 0 and at most 1; None where there is no picture.
    """

    steps: int = 1
    seed: int = 0
    strength: float | None = None


@dataclass(frozen=True)
class Timing:
    """Seconds spent on one component: loading it, and all its runs."""

    load: float = 0.0
    run: float = 0.0


class Stages:
    """The components of `bundle`. All arrays are float32 outside and are cast at the components' boundaries.

    A component that the bundle lacks, or that does not load or run, raises RequestError when it is called.

    Attributes:
        settings: how onnxruntime runs them.
        timings: seconds by component.
        watch: told of every run of a graph; None where nobody is.
    """

    def __init__(
        self,
        bundle: Bundle,
        provider: Provider | Settings | None = None,
        *,
        keep_graphs: bool = True,
    ) -> None:
        self.bundle = bundle
        self.settings = Settings.of(provider)
        self.timings: dict[str, Timing] = {}
        self.watch: Watch | None = None
        self._keep_graphs = keep_graphs
        self._sessions: dict[str, Session] = {}

    @property
    def provider(self) -> Provider:
        """Where they run."""
        return self.settings.provider

    def encode_text(self, encoder: str, ids: NDArray[np.int32]) -> Encoded:
        """What the text encoder of that name makes of token ids [batch, 77]."""
        return self.run(encoder, {"input_ids": ids})

    def conditions(self, encoded: Sequence[Encoded]) -> Conditions:
        """What the UNet is to draw, from what every text encoder made of the prompt."""
        manifest = self.bundle.manifest
        return join(encoded, manifest.conditions, manifest.size.batch)

    def encode_picture(self, sample: Float32Array) -> Float32Array:
        """The mean latents [batch, 4, h, w] of pictures [batch, 3, H, W] in -1…1, times the factor."""
        return self._one("vae_encoder", {"sample": sample}) * np.float32(self.bundle.manifest.scaling_factor)

    def denoise(self, latents: Float32Array, timestep: float, conditions: Conditions) -> Float32Array:
        """The noise that the UNet sees in scaled `latents` [batch, 4, h, w]; the same shape."""
        inputs = {"sample": latents, "timestep": np.array([timestep], np.float32), **conditions}
        return self._one("unet", inputs)

    def sample(
        self,
        conditions: Conditions,
        sampling: Sampling,
        start: Float32Array | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> Float32Array:
        """Finished latents [batch, 4, h, w], from noise or, with a strength, from a picture's `start`.

        Raises:
            RequestError: where the bundle has no such schedule, or the strength leaves no step to run.
        """
        schedule = sampler.plan(self.bundle.manifest.schedules, sampling.steps)
        noise = NoiseSource(sampling.seed)
        if sampling.strength is None or start is None:
            first, latents = 0, sampler.pure_noise(schedule, latent_shape(self.bundle.manifest.size), noise)
        else:
            first = sampler.entry(schedule, sampling.strength)
            latents = sampler.noised(start, schedule.steps[first], noise)
        steps = schedule.steps[first:]
        return sampler.sample(
            lambda scaled, timestep: self.denoise(scaled, timestep, conditions),
            latents,
            steps,
            noise,
            on_step,
        )

    def decode(self, latents: Float32Array) -> Float32Array:
        """Pictures [batch, 3, H, W] in about -1…1 from finished latents."""
        return self._one("vae_decoder", {"latent_sample": latents / np.float32(self.bundle.manifest.scaling_factor)})

    def pixels(self, sample: Float32Array) -> images.Pixels:
        """`sample` [batch, 3, H, W] of the decoder in eight bits: [batch, H, W, 3]."""
        return images.to_pixels(sample)

    def finite(self, value: Float32Array) -> bool:
        """Whether every number of `value` is one."""
        return bool(np.isfinite(value).all())

    def on_host(self, value: Float32Array) -> Float32Array:
        """`value` itself, which is on the host already."""
        return value

    def flagged(self, clip_input: Float32Array) -> list[bool]:
        """Whether the safety checker refuses each of the pictures [batch, 3, 224, 224], prepared as CLIP reads them."""
        return [bool(found) for found in self._one("safety_checker", {"clip_input": clip_input})]

    def run(self, component: str, inputs: Mapping[str, Array]) -> dict[str, Float32Array]:
        """All outputs that `component` has by its contract, by name. Time is kept in `timings`."""
        session, boundary = self._session(component), self._boundary(component)
        began, loaded = time.perf_counter(), session.load_seconds
        runs = [session.run(session.cast(feeds), self.watch) for feeds in boundary.feeds(inputs)]
        outputs = boundary.contract(runs)
        loading = session.load_seconds - loaded
        spent, running = self.timings.get(component, Timing()), time.perf_counter() - began - loading
        self.timings[component] = Timing(spent.load + loading, spent.run + running)
        return {name: output.astype(np.float32, copy=False) for name, output in outputs.items()}

    def release(self, component: str | None = None) -> None:
        """Give back the memory of `component`, or of all; it is loaded again when it is called again."""
        if component is None:
            self._sessions.clear()
        else:
            self._sessions.pop(component, None)

    def _one(self, component: str, inputs: Mapping[str, Array]) -> Float32Array:
        (output,) = self.run(component, inputs).values()
        return output

    def _boundary(self, component: str) -> Boundary:
        manifest, family = self.bundle.manifest, self.bundle.family
        contract = next((each for each in (*family.components, *family.optional) if each.name == component), None)
        moments = component == "vae_encoder" and manifest.vae_encoder_output == "moments"
        return Boundary(self.bundle.chain(component), contract, moments)

    def _session(self, component: str) -> Session:
        if component not in self._sessions:
            self._sessions[component] = Session(
                self.bundle, component, provider=self.settings, keep_graphs=self._keep_graphs
            )
        return self._sessions[component]


def latent_shape(size: Size) -> tuple[int, int, int, int]:
    """The shape of latents, [batch, 4, h, w]."""
    return (size.batch, 4, size.latent_height, size.latent_width)
