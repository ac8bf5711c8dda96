"""onnxruntime sessions for a bundle's components: one provider, no silent cast, no silent fall-back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.chain import Graph, Tensor
from turbo_webnn.runtime.ort.loading import load
from turbo_webnn.runtime.ort.provider import PROVIDERS, Provider, as_request_errors, choose_provider
from turbo_webnn.runtime.ort.settings import Settings

__all__ = ["PROVIDERS", "Array", "Provider", "Session", "Settings", "Watch", "choose_provider"]

Array = NDArray[Any]
"""An input or output of a component; its type is only known at run time."""

Watch = Callable[[Graph, Mapping[str, Array], Mapping[str, Array]], None]
"""Receives every run of a graph: the graph, and its inputs and outputs by name."""


class Session:
    """One component, which runs graph by graph; each graph loads at its first use.

    The inputs and outputs have the names, types and shapes of the manifest.

    Attributes:
        component: the name of the component.
        chain: its entry in the manifest.
        load_seconds: the total time for loading its graphs.

    Args:
        bundle: the bundle that holds the component.
        component: the name of the component.
        provider: the name of the provider, or all settings.
        keep_graphs: whether all graphs of the chain stay loaded. Otherwise each graph is freed before the next one
            loads, and the peak memory is near that of the largest graph.

    Raises:
        RequestError: where the bundle lacks the component.
    """

    def __init__(
        self,
        bundle: Bundle,
        component: str,
        *,
        provider: Provider | Settings = "cpu",
        keep_graphs: bool = True,
    ) -> None:
        self.component = component
        self.chain = bundle.chain(component)
        self.load_seconds = 0.0
        self._settings = Settings.of(provider)
        self._bundle = bundle
        self._loaded: dict[Graph, Any] = {}
        self._keep_graphs = keep_graphs

    def run(self, inputs: Mapping[str, Array], watch: Watch | None = None) -> dict[str, Array]:
        """Run the component and return its outputs by name, in the types of the manifest.

        Args:
            inputs: arrays by name.
            watch: receives each run of a graph.

        Raises:
            ValueError: where `inputs` differ from the manifest; nothing is cast or broadcast.
            RequestError: where a graph does not load or differs from the manifest, CUDA is requested and does not
                start, or onnxruntime fails, for example for lack of memory.
        """
        _require_inputs(inputs, self.chain.inputs, self.component)
        values = dict(inputs)
        for graph in self.chain.graphs:
            feeds = {tensor.name: values[tensor.name] for tensor in graph.inputs}
            with as_request_errors(
                f"running {self.component} failed", "try --provider cpu, or a bundle of a smaller size"
            ):
                # no variable refers to the session, so that it is freed before the next one loads
                results = self._graph(graph).run(None, feeds, self._settings.run_options(bound=False))
            outputs = {tensor.name: output for tensor, output in zip(graph.outputs, results, strict=True)}
            if watch is not None:
                watch(graph, feeds, outputs)
            values |= outputs
        return {tensor.name: values[tensor.name] for tensor in self.chain.outputs}

    @np.errstate(over="ignore")  # overflow becomes infinite, and the pipeline reports it
    def cast(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Convert `inputs` to the manifest's types; only here float32 arrays are converted to a narrower type."""
        dtypes = {tensor.name: tensor.dtype for tensor in self.chain.inputs}
        return {name: value.astype(dtypes.get(name, value.dtype), copy=False) for name, value in inputs.items()}

    def _graph(self, graph: Graph) -> Any:
        if graph not in self._loaded:
            if not self._keep_graphs:
                self._loaded.clear()
            start_time = time.perf_counter()
            self._loaded[graph] = load(self._bundle, graph, self._settings)
            self.load_seconds += time.perf_counter() - start_time
        return self._loaded[graph]


def _require_inputs(inputs: Mapping[str, Array], described: tuple[Tensor, ...], component: str) -> None:
    if inputs.keys() != {tensor.name for tensor in described}:
        raise ValueError(f"{component} takes {[tensor.name for tensor in described]}, not {list(inputs)}")
    for tensor in described:
        value = inputs[tensor.name]
        if value.dtype != tensor.dtype or value.shape != tensor.shape:
            raise ValueError(
                f"{component}: {tensor.name} must be {tensor.dtype} {list(tensor.shape)}, "
                f"not {value.dtype} {list(value.shape)}"
            )
