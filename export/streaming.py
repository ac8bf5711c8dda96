"""Runs a component's module on real inputs without keeping its weights in memory.

Parameters stay on the meta device, where they have shapes and no numbers. When a function of torch takes a parameter,
its numbers are read from the checkpoint in float32. They are freed when the function returns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils import _pytree as pytree

from turbo_webnn.export.forwards import Forward
from turbo_webnn.export.torch_functions import FunctionMode, parameter_names
from turbo_webnn.export.weights import LazyWeight
from turbo_webnn.models.component import Component, Size
from turbo_webnn.models.modules import build, weights_of
from turbo_webnn.models.source import Source

Tensors = Mapping[str, torch.Tensor]


def meta_forward(component: Component, source: Source, size: Size) -> nn.Module:
    """The module that is traced for `component`, on the meta device; RequestError if the config builds no module."""
    with torch.device("meta"):
        return Forward(component, build(component, source.config(component)), size)


def run_streamed(
    forward: nn.Module,
    component: Component,
    source: Source,
    inputs: Tensors,
    watches: Sequence[FunctionMode] = (),
) -> Tensors:
    """Run `component` on `inputs`; return its outputs by name. All tensors are float32.

    Args:
        forward: its `meta_forward`.
        component: the component to run.
        source: where its weights are read from.
        inputs: its inputs by name.
        watches: modes that observe the functions that the module calls. A watch also observes the calls of the watches
            after it, but not the reading of weights.

    Raises:
        RequestError: if the checkpoint lacks a tensor, or has it in another shape or type, or with NaN or Inf.
    """
    arguments = [inputs[spec.name] for spec in component.inputs]
    with ExitStack() as modes:
        for mode in (torch.no_grad(), StreamedParameters(forward, component, source), *watches):
            modes.enter_context(mode)
        outputs = forward(*arguments)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return {spec.name: output for spec, output in zip(component.outputs, outputs, strict=True)}


class StreamedParameters(FunctionMode):
    """While the mode is active, functions of torch receive the checkpoint's numbers for the parameters of `forward`."""

    def __init__(self, forward: nn.Module, component: Component, source: Source) -> None:
        super().__init__()
        self._names = parameter_names(forward)
        self._checkpoint = weights_of(source, component, forward.module)
        self._component = component

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Read the parameters and call `function`. Access to an attribute, such as a type or a device, reads none."""
        if function.__name__ == "__get__":
            return function(*arguments, **options)
        if function is functional.embedding:  # a prompt needs only a few rows of this large table
            ids, table = arguments[:2]
            return self._rows(ids, table)
        arguments, options = pytree.tree_map_only(nn.Parameter, self._read, (arguments, dict(options)))
        return function(*arguments, **options)

    def _read(self, parameter: nn.Parameter) -> torch.Tensor:
        return LazyWeight(self._stored(parameter)).numbers()

    def _rows(self, ids: torch.Tensor, table: nn.Parameter) -> torch.Tensor:
        stored = self._stored(table)
        unique_ids, positions = ids.unique(return_inverse=True)
        rows = [LazyWeight(stored.row(int(row_id))).numbers() for row_id in unique_ids]
        return torch.stack(rows)[positions]

    def _stored(self, parameter: nn.Parameter) -> Any:
        keys = self._component.keys(self._names[id(parameter)])
        return self._checkpoint.tensor(tuple(parameter.shape), *keys)
