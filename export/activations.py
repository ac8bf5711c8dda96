"""The largest number that each module of a component computes, on probe inputs: what float16 cannot hold is found here.

Measured in float32, on small pictures, one weight at a time in memory: a network's activations reach about as far
on 128 pixels as on 512, since each normalisation brings them back.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from export.passes.places import path_of
from export.probes import probe
from export.streaming import meta_forward, run_streamed
from models.component import Component
from models.errors import RequestError
from models.source import Source

LARGEST_FLOAT16 = 65504.0

MARGIN = 4.0
"""Prompts and pictures reach further than the probe: a module that came within a fourth of the limit is kept."""


def overflowing(component: Component, source: Source) -> dict[str, float]:
    """The modules of `component` that float16 might not hold, in the order in which they run, by path.

    With each the largest absolute value of what it computes itself, outside its submodules, to three digits, which
    other processors compute alike.

    Raises:
        RequestError: where the checkpoint does not make this component, or computes NaN or Inf in float32.
    """
    largest = measure(component, source)
    return {place: float(f"{value:.3g}") for place, value in largest.items() if value > LARGEST_FLOAT16 / MARGIN}


def measure(component: Component, source: Source) -> dict[str, float]:
    """The largest absolute value that each module of `component` computes itself, by its path.

    Raises:
        RequestError: as `overflowing`.
    """
    inputs = probe(component, source)
    forward = meta_forward(component, source)
    watch = _Watch(forward)
    run_streamed(forward, component, source, inputs, watch)
    for place, value in watch.largest.items():
        if not math.isfinite(value):
            where = f"{component.name} of {source.name} computes {value} in {place or 'its forward'}"
            raise RequestError(f"{where}, even in float32", "the checkpoint is damaged")
    return dict(watch.largest)


class _Watch(TorchFunctionMode):  # type: ignore[misc]  # torch is untyped here
    """Keeps, for each module of `forward`, the largest absolute value of what torch's functions give in it."""

    def __init__(self, forward: nn.Module) -> None:
        super().__init__()
        self.largest: dict[str, float] = defaultdict(float)
        self._running = [""]
        for scope, module in forward.named_modules():
            module.register_forward_pre_hook(self._entering(path_of(scope)))
            module.register_forward_hook(self._leaving)

    def _entering(self, place: str) -> Callable[[nn.Module, Any], None]:
        return lambda _module, _inputs: self._running.append(place)

    def _leaving(self, _module: nn.Module, _inputs: Any, _output: Any) -> None:
        self._running.pop()

    def __torch_function__(
        self,
        function: Callable[..., Any],
        _types: Sequence[type],
        arguments: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call `function`, and look at what it gives and what it computes on the way."""
        result = function(*arguments, **(options or {}))
        if function.__name__ == "__get__":
            return result
        for value in result if isinstance(result, (tuple, list)) else (result,):
            self._see(value)
        if function is functional.scaled_dot_product_attention:
            self._see(_scores(*arguments[:2], **(options or {})))
        elif function is functional.layer_norm:
            self._see(_squares(*arguments[:2]))
        return result

    def _see(self, value: Any) -> None:
        if isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel() and not value.is_meta:
            place = self._running[-1]
            reached = max(abs(float(extreme)) for extreme in value.aminmax())
            # max() would lose NaN
            self.largest[place] = reached if math.isnan(reached) else max(self.largest[place], reached)


def _scores(
    query: torch.Tensor,  # [batch, heads, tokens, width]
    key: torch.Tensor,
    scale: float | None = None,
    **_: Any,
) -> torch.Tensor:
    """What attention's softmax gets, scaled before the product as `export.translations.attention` does it."""
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    return (query * scale) @ key.transpose(-1, -2)


def _squares(value: torch.Tensor, normalized_shape: Sequence[int]) -> torch.Tensor:
    """Squares of deviations from the mean, which back ends without a LayerNormalization compute in its type."""
    axes = tuple(range(-len(normalized_shape), 0))
    return (value - value.mean(axes, keepdim=True)).square()
