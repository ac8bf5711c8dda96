"""The base class of drawers that run a bundle, on any kind of tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.runtime.draw.drawer import Drawer, Facts
from turbo_webnn.runtime.draw.sampler import Sampling, ScheduleSampler, plan
from turbo_webnn.runtime.ort.provider import Provider
from turbo_webnn.runtime.ort.settings import Settings
from turbo_webnn.runtime.tensors.protocol import Value


@dataclass(frozen=True)
class Timing:
    """Seconds spent on one component: for loading it, and for all its runs."""

    load: float = 0.0
    run: float = 0.0


class BundleDrawer(Drawer[Value], Generic[Value]):
    """A drawer that runs the components of a bundle.

    Attributes:
        bundle: the bundle.
        settings: the settings of onnxruntime.
        timings: seconds by component.
    """

    def __init__(self, bundle: Bundle, provider: Provider | Settings | None, *, keep_graphs: bool) -> None:
        self.bundle = bundle
        self.settings = Settings.of(provider)
        self.timings: dict[str, Timing] = {}
        self._keep_graphs = keep_graphs

    @property
    def provider(self) -> Provider:
        """The execution provider of the graphs."""
        return self.settings.provider

    @property
    def facts(self) -> Facts:
        """The facts that the manifest states."""
        manifest = self.bundle.manifest
        return Facts(
            self.bundle.family, manifest.wiring, manifest.size.batch, manifest.scaling_factor, manifest.conditions
        )

    def sampler(self, sampling: Sampling) -> ScheduleSampler[Value]:
        """Make a sampler for the manifest's schedule of `sampling.steps` steps."""
        schedule = plan(self.bundle.manifest.schedules, sampling.steps)
        return ScheduleSampler(schedule, sampling, latent_shape(self.bundle), self.tensors)

    def add_timing(self, component: str, load: float, run: float) -> None:
        """Add seconds of loading and running to the component's timing."""
        before = self.timings.get(component, Timing())
        self.timings[component] = Timing(before.load + load, before.run + run)


def latent_shape(bundle: Bundle) -> tuple[int, ...]:
    """The shape of the denoiser's latents: [batch, channels, h, w]."""
    wiring = bundle.manifest.wiring
    chain = bundle.chain(wiring.denoiser)
    name = chain.names.get(wiring.latents, wiring.latents)
    return next(tensor.shape for tensor in chain.inputs if tensor.name == name)
