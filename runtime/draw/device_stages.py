"""A bundle that draws in slots on one device. Token ids, noise and a few numbers go there; pixels come back."""

from __future__ import annotations

import time
from collections.abc import Mapping

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.chain import Chain, Graph
from turbo_webnn.runtime.draw.bundle_drawer import BundleDrawer
from turbo_webnn.runtime.ort.loading import load
from turbo_webnn.runtime.ort.provider import Provider
from turbo_webnn.runtime.ort.settings import Settings
from turbo_webnn.runtime.tensors.arithmetic import Arithmetic
from turbo_webnn.runtime.tensors.bound import Bound
from turbo_webnn.runtime.tensors.device import DeviceTensors
from turbo_webnn.runtime.tensors.slots import Slot, Slots


class DeviceStages(BundleDrawer[Slot]):
    """Components bound to slots: what one returns is overwritten by its next run.

    Sessions on CUDA are captured as graphs where they stay loaded.

    Raises:
        RequestError: by each method, where the bundle lacks the component, or it does not load or run.
    """

    def __init__(
        self, bundle: Bundle, provider: Provider | Settings | None = None, *, keep_graphs: bool = True
    ) -> None:
        super().__init__(bundle, provider, keep_graphs=keep_graphs)
        self._slots = Slots(self.settings)
        self._arithmetic = Arithmetic(self.settings, self._slots)
        self.tensors = DeviceTensors(self._slots, self._arithmetic)
        self._bound: dict[str, dict[Graph, Bound]] = {}

    @staticmethod
    def serves(bundle: Bundle) -> bool:
        """Whether the graphs of `bundle` have the names and shapes of the contract."""
        manifest, family = bundle.manifest, bundle.family
        contracts = {component.name: component for component in family.known}
        return all(
            name in contracts
            and not (chain.names or chain.adapters)
            and {tensor.name for tensor in chain.inputs} <= {spec.name for spec in contracts[name].inputs}
            and _has_batch(chain, manifest.size.batch)
            for name, chain in manifest.components.items()
        )

    def run(self, component: str, inputs: Mapping[str, Slot]) -> dict[str, Slot]:
        """All outputs of `component`, by name. Time is kept in `timings`."""
        chain = self.bundle.chain(component)
        slots = {tensor.name: self._slots.of(component, tensor) for tensor in chain.inputs}
        began, loading = time.perf_counter(), 0.0
        self._arithmetic.copy([(inputs[name], slot) for name, slot in slots.items() if inputs[name] is not slot])
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
        self.spent(component, loading, time.perf_counter() - began - loading)
        return {tensor.name: slots[tensor.name] for tensor in chain.outputs}

    def release(self, component: str | None = None) -> None:
        """Give back the memory of `component`, or of all, but for what crosses their boundaries."""
        if component is None:
            self._bound.clear()
        else:
            self._bound.pop(component, None)

    def _graph(self, component: str, graph: Graph) -> Bound:
        loaded = self._bound.setdefault(component, {})
        if graph not in loaded:
            if not self._keep_graphs:
                loaded.clear()
            stays = self._keep_graphs
            session = load(self.bundle, graph, self.settings, bound=stays)
            captured = self.settings.captures(bound=stays)
            loaded[graph] = Bound(session, self.settings.run_options(bound=stays), captured=captured)
        return loaded[graph]


def _has_batch(chain: Chain, batch: int) -> bool:
    """Whether the component runs once for the whole batch."""
    return all(tensor.shape[:1] in ((batch,), (1,)) for tensor in chain.inputs) and any(
        tensor.shape[:1] == (batch,) for tensor in chain.inputs
    )
