"""onnxruntime sessions over a bundle's components: one provider, no silent cast, no silent fall-back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.chain import Graph, Tensor
from turbo_webnn.runtime.ort.loading import load
from turbo_webnn.runtime.ort.provider import PROVIDERS, Provider, choose_provider, told
from turbo_webnn.runtime.ort.settings import Settings

__all__ = ["PROVIDERS", "Array", "Provider", "Session", "Settings", "Watch", "choose_provider"]

Array = NDArray[Any]
"""An array whose type is data: what crosses a component's boundary."""

Watch = Callable[[Graph, Mapping[str, Array], Mapping[str, Array]], None]
"""Told of every run of a graph: the graph, its inputs and its outputs by name, as they cross its boundary."""


class Session:
    """One component, run graph by graph; each loads when it is first reached.

    Its inputs and outputs are those of the manifest, in name, type and shape.

    Attributes:
        load_seconds: spent so far on loading its graphs.

    Args:
        provider: its name, or all settings.
        keep_graphs: whether all graphs of the chain stay loaded. Where they do not, each leaves memory before the
            next one comes, and the peak is near that of the largest.

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
        """The outputs by name, in the boundary's types.

        Raises:
            ValueError: where `inputs` are not exactly the manifest's; nothing is cast or broadcast.
            RequestError: where a graph does not load or is not the one that the manifest describes, CUDA is asked
                for and does not start, or onnxruntime fails, for want of memory above all.
        """
        _require_inputs(inputs, self.chain.inputs, self.component)
        values = dict(inputs)
        for graph in self.chain.graphs:
            feeds = {tensor.name: values[tensor.name] for tensor in graph.inputs}
            with told(f"running {self.component} failed", "try --provider cpu, or a bundle of a smaller size"):
                # the session is held by no name here: it is to leave before the next one comes
                given = self._graph(graph).run(None, feeds, self._settings.run_options(bound=False))
            outputs = {tensor.name: output for tensor, output in zip(graph.outputs, given, strict=True)}
            if watch is not None:
                watch(graph, feeds, outputs)
            values |= outputs
        return {tensor.name: values[tensor.name] for tensor in self.chain.outputs}

    @np.errstate(over="ignore")  # what leaves float16's range becomes infinite, and is told by the pipeline
    def cast(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """`inputs` in the manifest's types: the one place where the host's float32 is narrowed."""
        dtypes = {tensor.name: tensor.dtype for tensor in self.chain.inputs}
        return {name: value.astype(dtypes.get(name, value.dtype), copy=False) for name, value in inputs.items()}

    def _graph(self, graph: Graph) -> Any:
        if graph not in self._loaded:
            if not self._keep_graphs:
                self._loaded.clear()
            began = time.perf_counter()
            self._loaded[graph] = load(self._bundle, graph, self._settings)
            self.load_seconds += time.perf_counter() - began
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
