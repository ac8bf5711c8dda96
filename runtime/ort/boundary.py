"""Conversion between a component's contract and its layout: other names, other shapes, additional inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from turbo_webnn.models.chain import Chain
from turbo_webnn.models.component import Component
from turbo_webnn.models.parts.autoencoder_kl import MOMENTS
from turbo_webnn.runtime.ort.sessions import Array


@dataclass(frozen=True)
class Boundary:
    """Converts between the contract and the graphs of `chain`.

    Attributes:
        chain: the graphs, with the names and adapters of the layout.
        component: the contract; None for a graph that is no component, whose tensors stay as they are.
    """

    chain: Chain
    component: Component | None = None

    def feeds(self, inputs: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
        """Convert the contract's `inputs` into the feeds of each run of the chain.

        A graph of one picture runs once for each picture of the batch. An array of one number becomes a scalar where
        the graph takes a scalar. Additional inputs of the layout are zeros.
        """
        feeds = {self.chain.names.get(name, name): value for name, value in inputs.items()} | self._additional()
        shapes = {tensor.name: tensor.shape for tensor in self.chain.inputs}
        runs = max((_run_count(value, shapes[name]) for name, value in feeds.items() if name in shapes), default=1)
        for row in range(runs):
            yield {
                name: _reshape_scalar(value[row : row + 1] if runs > 1 else value, shapes.get(name, value.shape))
                for name, value in feeds.items()
            }

    def outputs(self, runs: list[dict[str, Array]]) -> dict[str, Array]:
        """Convert the outputs of the chain's `runs` into the contract's outputs.

        If the graph gives moments, the contract's latents are their mean. The moments follow as `MOMENTS`, so that a
        caller can sample.
        """
        batch = {
            name: np.concatenate([run[name] for run in runs]) if len(runs) > 1 else runs[0][name] for name in runs[0]
        }
        if self.component is None:
            return batch
        outputs = {spec.name: batch[self.chain.names.get(spec.name, spec.name)] for spec in self.component.outputs}
        contracted = dict(outputs)
        for name in self.chain.adapters:
            contracted[MOMENTS] = outputs[name]
            contracted[name] = np.split(outputs[name], 2, axis=1)[0]
        return contracted

    def _additional(self) -> dict[str, Array]:
        """Zeros for the inputs of the layout that the contract does not have."""
        if self.component is None:
            return {}
        known = {self.chain.names.get(spec.name, spec.name) for spec in self.component.inputs}
        return {
            tensor.name: np.zeros(tensor.shape, tensor.dtype)
            for tensor in self.chain.inputs
            if tensor.name not in known
        }


def _run_count(value: Array, shape: tuple[int, ...]) -> int:
    """The number of runs that a graph of one row needs for `value`."""
    return len(value) if value.ndim == len(shape) > 0 and shape[0] == 1 and value.shape[1:] == shape[1:] else 1


def _reshape_scalar(value: Array, shape: tuple[int, ...]) -> Array:

    return value.reshape(shape) if value.size == 1 and shape == () else value
