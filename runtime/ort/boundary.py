"""A component's contract as its layout has it: what is called otherwise, shaped otherwise, or there besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from turbo_webnn.models.chain import Adapter, Chain
from turbo_webnn.models.component import Component
from turbo_webnn.runtime.ort.sessions import Array


@dataclass(frozen=True)
class Boundary:
    """Between the contract and the graphs of `chain`.

    Attributes:
        component: the contract; None for a graph that is no component, whose tensors are its own.
    """

    chain: Chain
    component: Component | None = None

    def feeds(self, inputs: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
        """What to run the chain on for `inputs` of the contract: once, or for each picture of the batch.

        A graph of one picture in a bundle of several runs for each. A number may lose its one dimension. What the
        layout takes besides is zeros.
        """
        given = {self.chain.names.get(name, name): value for name, value in inputs.items()} | self._besides()
        shapes = {tensor.name: tensor.shape for tensor in self.chain.inputs}
        rows = max((_rows(value, shapes[name]) for name, value in given.items() if name in shapes), default=1)
        for row in range(rows):
            yield {
                name: _shaped(value[row : row + 1] if rows > 1 else value, shapes.get(name, value.shape))
                for name, value in given.items()
            }

    def contract(self, runs: list[dict[str, Array]]) -> dict[str, Array]:
        """The contract's outputs from those of the chain's runs."""
        whole = {
            name: np.concatenate([run[name] for run in runs]) if len(runs) > 1 else runs[0][name] for name in runs[0]
        }
        if self.component is None:
            return whole
        named = {spec.name: whole[self.chain.names.get(spec.name, spec.name)] for spec in self.component.outputs}
        return {
            name: _ADAPTED[self.chain.adapters[name]](value) if name in self.chain.adapters else value
            for name, value in named.items()
        }

    def _besides(self) -> dict[str, Array]:
        if self.component is None:
            return {}
        known = {self.chain.names.get(spec.name, spec.name) for spec in self.component.inputs}
        return {
            tensor.name: np.zeros(tensor.shape, tensor.dtype)
            for tensor in self.chain.inputs
            if tensor.name not in known
        }


_ADAPTED: Mapping[Adapter, Callable[[Array], Array]] = {"first_half": lambda value: np.split(value, 2, axis=1)[0]}


def _rows(value: Array, shape: tuple[int, ...]) -> int:
    """How often a graph of one row must run for `value`."""
    return len(value) if value.ndim == len(shape) > 0 and shape[0] == 1 and value.shape[1:] == shape[1:] else 1


def _shaped(value: Array, shape: tuple[int, ...]) -> Array:
    return value.reshape(shape) if value.size == 1 and shape == () else value
