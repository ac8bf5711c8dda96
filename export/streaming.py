"""A component's module, run on real inputs while no weight stays in memory.

Parameters stay on the meta device, where they have shapes and no numbers. Each is read from the checkpoint as a
function takes it, in float32, and goes when that function returns.
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
from turbo_webnn.models.modules import build, matched
from turbo_webnn.models.source import Source

Tensors = Mapping[str, torch.Tensor]


def meta_forward(component: Component, source: Source, size: Size) -> nn.Module:
    """What is traced of `component`, without numbers; RequestError where the config builds no module."""
    with torch.device("meta"):
        return Forward(component, build(component, source.config(component)), size)


def run_streamed(
    forward: nn.Module,
    component: Component,
    source: Source,
    inputs: Tensors,
    watches: Sequence[FunctionMode] = (),
) -> Tensors:
    """The outputs of `component`, by name, from its `meta_forward` and its inputs, all float32.

    Each of the `watches` sees what the module calls, and what the watches after it call, and not how weights are read.

    Raises:
        RequestError: where the checkpoint lacks a tensor, or has it in another shape or type, or with NaN or Inf.
    """
    arguments = [inputs[spec.name] for spec in component.inputs]
    with ExitStack() as modes:
        for mode in (torch.no_grad(), StreamedParameters(forward, component, source), *watches):
            modes.enter_context(mode)
        outputs = forward(*arguments)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return {spec.name: output for spec, output in zip(component.outputs, outputs, strict=True)}


class StreamedParameters(FunctionMode):
    """While it is active, each function of torch gets parameters of `forward` with the checkpoint's numbers."""

    def __init__(self, forward: nn.Module, component: Component, source: Source) -> None:
        super().__init__()
        self._names = parameter_names(forward)
        self._checkpoint = matched(component, forward.module, source.checkpoint(component))
        self._component = component

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Call `function` with its parameters read; what asks for a type or a device reads none."""
        if function.__name__ == "__get__":
            return function(*arguments, **options)
        if function is functional.embedding:  # of the largest table a prompt needs a few rows
            ids, table = arguments[:2]
            return self._rows(ids, table)
        arguments, options = pytree.tree_map_only(nn.Parameter, self._read, (arguments, dict(options)))
        return function(*arguments, **options)

    def _read(self, parameter: nn.Parameter) -> torch.Tensor:
        return LazyWeight(self._stored(parameter)).numbers()

    def _rows(self, ids: torch.Tensor, table: nn.Parameter) -> torch.Tensor:
        stored = self._stored(table)
        wanted, places = ids.unique(return_inverse=True)
        rows = [LazyWeight(stored.row(int(index))).numbers() for index in wanted]
        return torch.stack(rows)[places]

    def _stored(self, parameter: nn.Parameter) -> Any:
        keys = self._component.keys(self._names[id(parameter)])
        return self._checkpoint.tensor(tuple(parameter.shape), *keys)
