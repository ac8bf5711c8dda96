"""What bundles that draw have in common, wherever their graphs run."""

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
    """Seconds spent on one component: loading it, and all its runs."""

    load: float = 0.0
    run: float = 0.0


class BundleDrawer(Drawer[Value], Generic[Value]):
    """A bundle that draws.

    Attributes:
        bundle: what it runs.
        settings: how onnxruntime runs it.
        timings: seconds by component.
    """

    def __init__(self, bundle: Bundle, provider: Provider | Settings | None, *, keep_graphs: bool) -> None:
        self.bundle = bundle
        self.settings = Settings.of(provider)
        self.timings: dict[str, Timing] = {}
        self._keep_graphs = keep_graphs

    @property
    def provider(self) -> Provider:
        """Where the graphs run."""
        return self.settings.provider

    @property
    def facts(self) -> Facts:
        """As the manifest states them."""
        manifest = self.bundle.manifest
        return Facts(
            self.bundle.family, manifest.wiring, manifest.size.batch, manifest.scaling_factor, manifest.conditions
        )

    def sampler(self, sampling: Sampling) -> ScheduleSampler[Value]:
        """By the manifest's schedule."""
        schedule = plan(self.bundle.manifest.schedules, sampling.steps)
        return ScheduleSampler(schedule, sampling, latent_shape(self.bundle), self.tensors)

    def spent(self, component: str, load: float, run: float) -> None:
        """Add seconds to the component's timing."""
        before = self.timings.get(component, Timing())
        self.timings[component] = Timing(before.load + load, before.run + run)


def latent_shape(bundle: Bundle) -> tuple[int, ...]:
    """The shape of latents [batch, channels, h, w], as the denoiser reads them."""
    wiring = bundle.manifest.wiring
    chain = bundle.chain(wiring.denoiser)
    name = chain.names.get(wiring.latents, wiring.latents)
    return next(tensor.shape for tensor in chain.inputs if tensor.name == name)
