"""Draw with a bundle on arrays of the host. Each component is loaded at its first run."""

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
    """A drawer on numpy arrays. Arrays are float32 between components, and are cast at their boundaries.

    Attributes:
        watch: called after every run of a graph, where it is not None.

    Raises:
        RequestError: by each method, where the bundle has no such component, or the component does not load or run.
    """

    def __init__(
        self, bundle: Bundle, provider: Provider | Settings | None = None, *, keep_graphs: bool = True
    ) -> None:
        super().__init__(bundle, provider, keep_graphs=keep_graphs)
        self.tensors = HostTensors()
        self.watch: Watch | None = None
        self._sessions: dict[str, Session] = {}

    def run(self, component: str, inputs: Mapping[str, Array]) -> dict[str, Float32Array]:
        """Run `component` and add the time to `timings`.

        Returns:
            All outputs of the component's contract, by name.
        """
        session, boundary = self._session(component), self._boundary(component)
        start_time, earlier_load_seconds = time.perf_counter(), session.load_seconds
        runs = [session.run(session.cast(feeds), self.watch) for feeds in boundary.feeds(inputs)]
        outputs = boundary.outputs(runs)
        load_seconds = session.load_seconds - earlier_load_seconds
        self.add_timing(component, load_seconds, time.perf_counter() - start_time - load_seconds)
        return {name: output.astype(np.float32, copy=False) for name, output in outputs.items()}

    def release(self, component: str | None = None) -> None:
        """Free the memory of `component`, or of all components."""
        if component is None:
            self._sessions.clear()
        else:
            self._sessions.pop(component, None)

    def _boundary(self, component: str) -> Boundary:
        contract = next((contract for contract in self.bundle.family.known if contract.name == component), None)
        return Boundary(self.bundle.chain(component), contract)

    def _session(self, component: str) -> Session:
        if component not in self._sessions:
            self._sessions[component] = Session(
                self.bundle, component, provider=self.settings, keep_graphs=self._keep_graphs
            )
        return self._sessions[component]
