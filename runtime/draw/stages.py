"""A bundle that draws on arrays of the host; each component is loaded when it first runs."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.runtime.draw.bundle_drawer import BundleDrawer
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.ort.boundary import Boundary
from turbo_webnn.runtime.ort.provider import Provider
from turbo_webnn.runtime.ort.sessions import Array, Session, Watch
from turbo_webnn.runtime.ort.settings import Settings
from turbo_webnn.runtime.tensors.host import HostTensors


class Stages(BundleDrawer[Array]):
    """All arrays are float32 outside and are cast at the components' boundaries.

    A component that the bundle lacks, or that does not load or run, raises RequestError when it is called.

    Attributes:
        watch: called after every run of a graph; None for nothing.
    """

    def __init__(
        self, bundle: Bundle, provider: Provider | Settings | None = None, *, keep_graphs: bool = True
    ) -> None:
        super().__init__(bundle, provider, keep_graphs=keep_graphs)
        self.tensors = HostTensors()
        self.watch: Watch | None = None
        self._sessions: dict[str, Session] = {}

    def run(self, component: str, inputs: Mapping[str, Array]) -> dict[str, Float32Array]:
        """All outputs that `component` has by its contract, by name. Time is kept in `timings`."""
        session, boundary = self._session(component), self._boundary(component)
        began, loaded = time.perf_counter(), session.load_seconds
        runs = [session.run(session.cast(feeds), self.watch) for feeds in boundary.feeds(inputs)]
        outputs = boundary.outputs(runs)
        loading = session.load_seconds - loaded
        self.spent(component, loading, time.perf_counter() - began - loading)
        return {name: output.astype(np.float32, copy=False) for name, output in outputs.items()}

    def release(self, component: str | None = None) -> None:
        """Give back the memory of `component`, or of all."""
        if component is None:
            self._sessions.clear()
        else:
            self._sessions.pop(component, None)

    def _boundary(self, component: str) -> Boundary:
        contract = next((known for known in self.bundle.family.known if known.name == component), None)
        return Boundary(self.bundle.chain(component), contract)

    def _session(self, component: str) -> Session:
        if component not in self._sessions:
            self._sessions[component] = Session(
                self.bundle, component, provider=self.settings, keep_graphs=self._keep_graphs
            )
        return self._sessions[component]
