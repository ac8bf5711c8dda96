"""Draw with a bundle in slots on one device.

Only token ids, noise and a few scalars are copied to the device, and only pixels and the latents are copied back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.chain import Chain, Graph
from turbo_webnn.models.parts.autoencoder_kl import MOMENTS
from turbo_webnn.runtime.draw.bundle_drawer import BundleDrawer
from turbo_webnn.runtime.ort.loading import load
from turbo_webnn.runtime.ort.provider import Provider
from turbo_webnn.runtime.ort.settings import Settings
from turbo_webnn.runtime.tensors.arithmetic import Arithmetic
from turbo_webnn.runtime.tensors.bound import BoundSession
from turbo_webnn.runtime.tensors.device import DeviceTensors
from turbo_webnn.runtime.tensors.slots import Slot, Slots


class DeviceStages(BundleDrawer[Slot]):
    """A drawer whose components read and write slots. The next run of a component overwrites its outputs.

    On CUDA, sessions that stay loaded are captured as CUDA graphs.

    Raises:
        RequestError: by each method, where the bundle has no such component, or the component does not load or run.
    """

    def __init__(
        self, bundle: Bundle, provider: Provider | Settings | None = None, *, keep_graphs: bool = True
    ) -> None:
        super().__init__(bundle, provider, keep_graphs=keep_graphs)
        self._slots = Slots(self.settings)
        self._arithmetic = Arithmetic(self.settings, self._slots)
        self.tensors = DeviceTensors(self._slots, self._arithmetic)
        self._sessions: dict[str, dict[Graph, BoundSession]] = {}

    @staticmethod
    def supports(bundle: Bundle) -> bool:
        """Whether the graphs of `bundle` have the names and shapes of the contract. An encoder may give moments."""
        manifest, family = bundle.manifest, bundle.family
        contracts = {component.name: component for component in family.known}
        return all(
            name in contracts
            and chain.names == dict.fromkeys(chain.adapters, MOMENTS)
            and {tensor.name for tensor in chain.inputs} <= {spec.name for spec in contracts[name].inputs}
            and _runs_whole_batch(chain, manifest.size.batch)
            for name, chain in manifest.components.items()
        )

    def run(self, component: str, inputs: Mapping[str, Slot]) -> dict[str, Slot]:
        """Run `component` and add the time to `timings`.

        Returns:
            All outputs by the names of the graph.
        """
        chain = self.bundle.chain(component)
        slots = {tensor.name: self._slots.of(component, tensor) for tensor in chain.inputs}
        start_time, load_seconds = time.perf_counter(), 0.0
        self._arithmetic.copy([(inputs[name], slot) for name, slot in slots.items() if inputs[name] is not slot])
        for graph in chain.graphs:
            slots |= {tensor.name: self._slots.of(component, tensor) for tensor in graph.outputs}
            load_start = time.perf_counter()
            session = self._session(component, graph)
            load_seconds += time.perf_counter() - load_start
            session.run(
                {tensor.name: slots[tensor.name] for tensor in graph.inputs},
                {tensor.name: slots[tensor.name] for tensor in graph.outputs},
            )
            del session  # so that its memory can be freed before the next session loads
        self.add_timing(component, load_seconds, time.perf_counter() - start_time - load_seconds)
        return {tensor.name: slots[tensor.name] for tensor in chain.outputs}

    def release(self, component: str | None = None) -> None:
        """Free the memory of `component`, or of all components. The slots of inputs and outputs remain."""
        if component is None:
            self._sessions.clear()
        else:
            self._sessions.pop(component, None)

    def _session(self, component: str, graph: Graph) -> BoundSession:
        sessions = self._sessions.setdefault(component, {})
        if graph not in sessions:
            if not self._keep_graphs:
                sessions.clear()
            # a CUDA graph is captured only where the session stays loaded
            bound = self._keep_graphs
            session = load(self.bundle, graph, self.settings, bound=bound)
            captured = self.settings.captures(bound=bound)
            sessions[graph] = BoundSession(session, self.settings.run_options(bound=bound), captured=captured)
        return sessions[graph]


def _runs_whole_batch(chain: Chain, batch: int) -> bool:
    """Whether the component runs once for the whole batch."""
    return all(tensor.shape[:1] in ((batch,), (1,)) for tensor in chain.inputs) and any(
        tensor.shape[:1] == (batch,) for tensor in chain.inputs
    )
