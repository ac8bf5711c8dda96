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

from turbo_webnn.export.overflows import Overflows
from turbo_webnn.export.passes.places import path_of
from turbo_webnn.export.probes import observe
from turbo_webnn.export.torch_functions import FunctionMode
from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.source import Source

LARGEST_FLOAT16 = 65504.0

MARGIN = 4.0
"""Prompts and pictures reach further than the probe: a module that came within a fourth of the limit is kept."""


def overflowing(component: Component, source: Source) -> Overflows:
    """The modules of `component` that float16 might not hold, in the order in which they run.

    Values are rounded to three digits, which other processors compute alike.

    Raises:
        RequestError: where the checkpoint does not make this component, or computes NaN or Inf in float32.
    """
    return overflows_of(measure(component, source), component, source)


def overflows_of(watch: Watch, component: Component, source: Source) -> Overflows:
    """The modules beyond the limit, from what `watch` saw of `component` on its probe.

    Raises:
        RequestError: where it saw NaN or Inf.
    """
    for place, value in (*watch.results.items(), *watch.inside.items()):
        if not math.isfinite(value):
            where = f"{component.name} of {source.name} computes {value} in {place or 'its forward'}"
            raise RequestError(f"{where}, even in float32", "the checkpoint is damaged")
    results = _beyond(watch.results)
    inside = _beyond(watch.inside)
    return Overflows(results, {place: value for place, value in inside.items() if place not in results})


def _beyond(largest: Mapping[str, float]) -> dict[str, float]:
    return {place: float(f"{value:.3g}") for place, value in largest.items() if value > LARGEST_FLOAT16 / MARGIN}


def measure(component: Component, source: Source) -> Watch:
    """The largest absolute values that the modules of `component` compute on its probe.

    Raises:
        RequestError: where the checkpoint does not make this component.
    """
    (watch,) = observe(component, source, lambda forward: (Watch(forward),))
    return watch


class Watch(FunctionMode):
    """Keeps the largest absolute values that torch's functions meet in each module of `forward`, by its path.

    Attributes:
        results: of what they give.
        inside: of scores of attention and squares in a LayerNormalization, which they compute on the way.
    """

    def __init__(self, forward: nn.Module) -> None:
        super().__init__()
        self.results: dict[str, float] = defaultdict(float)
        self.inside: dict[str, float] = defaultdict(float)
        self._running = [""]
        for scope, module in forward.named_modules():
            module.register_forward_pre_hook(self._entering(path_of(scope)))
            module.register_forward_hook(self._leaving)

    def _entering(self, place: str) -> Callable[[nn.Module, Any], None]:
        return lambda _module, _inputs: self._running.append(place)

    def _leaving(self, _module: nn.Module, _inputs: Any, _output: Any) -> None:
        self._running.pop()

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Call `function`, and look at what it gives and what it computes on the way."""
        result = function(*arguments, **options)
        if function.__name__ == "__get__":
            return result
        for value in result if isinstance(result, (tuple, list)) else (result,):
            self._see(value, self.results)
        if function is functional.scaled_dot_product_attention:
            self._see(_scores(*arguments[:2], **options), self.inside)
        elif function is functional.layer_norm:
            self._see(_squares(*arguments[:2]), self.inside)
        return result

    def _see(self, value: Any, largest: dict[str, float]) -> None:
        if isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel() and not value.is_meta:
            place = self._running[-1]
            reached = max(abs(float(extreme)) for extreme in value.aminmax())
            # max() would lose NaN
            largest[place] = reached if math.isnan(reached) else max(largest[place], reached)


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
