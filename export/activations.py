"""The largest absolute value that each module of a component computes on probe inputs.

The export uses these values to find the modules that float16 cannot hold. They are measured in float32, on small
pictures, with one weight at a time in memory. Activations are about as large with 128 pixels as with 512, because each
normalisation bounds them again.
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
"""Real prompts and pictures can give larger values than the probe. A module stays in float32 if its largest value on
the probe exceeds a fourth of the limit."""


def find_overflows(component: Component, source: Source) -> Overflows:
    """Find the modules of `component` that float16 might not hold, in the order in which they run.

    Values are rounded to three digits, so that every processor gives the same values.

    Raises:
        RequestError: if the checkpoint does not fit this component, or if it computes NaN or Inf in float32.
    """
    return select_overflows(measure_activations(component, source), component, source)


def select_overflows(watch: ActivationWatch, component: Component, source: Source) -> Overflows:
    """Select the modules whose values exceed the limit, from the values that `watch` recorded for `component`.

    Raises:
        RequestError: if a recorded value is NaN or Inf.
    """
    for place, value in (*watch.results.items(), *watch.inside.items()):
        if not math.isfinite(value):
            where = f"{component.name} of {source.name} computes {value} in {place or 'its forward'}"
            raise RequestError(f"{where}, even in float32", "the checkpoint is damaged")
    results = _beyond_limit(watch.results)
    inside = _beyond_limit(watch.inside)
    return Overflows(results, {place: value for place, value in inside.items() if place not in results})


def _beyond_limit(largest: Mapping[str, float]) -> dict[str, float]:
    return {place: float(f"{value:.3g}") for place, value in largest.items() if value > LARGEST_FLOAT16 / MARGIN}


def measure_activations(component: Component, source: Source) -> ActivationWatch:
    """Run `component` on its probe, and record the largest absolute value in each module.

    Raises:
        RequestError: if the checkpoint does not fit this component.
    """
    (watch,) = observe(component, source, lambda forward: (ActivationWatch(forward),))
    return watch


class ActivationWatch(FunctionMode):
    """Records the largest absolute value of torch's functions in each module of `forward`, by the path of the module.

    Attributes:
        results: the largest results of the functions.
        inside: the largest intermediate values: attention scores, and squares in a LayerNormalization.
    """

    def __init__(self, forward: nn.Module) -> None:
        super().__init__()
        self.results: dict[str, float] = defaultdict(float)
        self.inside: dict[str, float] = defaultdict(float)
        self._running_places = [""]
        for scope, module in forward.named_modules():
            module.register_forward_pre_hook(self._enter_hook(path_of(scope)))
            module.register_forward_hook(self._leave_hook)

    def _enter_hook(self, place: str) -> Callable[[nn.Module, Any], None]:
        return lambda _module, _inputs: self._running_places.append(place)

    def _leave_hook(self, _module: nn.Module, _inputs: Any, _output: Any) -> None:
        self._running_places.pop()

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Call `function`, and record its results and its intermediate values."""
        result = function(*arguments, **options)
        if function.__name__ == "__get__":
            return result
        for value in result if isinstance(result, (tuple, list)) else (result,):
            self._record(value, self.results)
        if function is functional.scaled_dot_product_attention:
            self._record(_attention_scores(*arguments[:2], **options), self.inside)
        elif function is functional.layer_norm:
            self._record(_squared_deviations(*arguments[:2]), self.inside)
        return result

    def _record(self, value: Any, largest: dict[str, float]) -> None:
        if isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel() and not value.is_meta:
            place = self._running_places[-1]
            magnitude = max(abs(float(extreme)) for extreme in value.aminmax())
            # max() would lose NaN
            largest[place] = magnitude if math.isnan(magnitude) else max(largest[place], magnitude)


def _attention_scores(
    query: torch.Tensor,  # [batch, heads, tokens, width]
    key: torch.Tensor,
    scale: float | None = None,
    **_: Any,
) -> torch.Tensor:
    """The input of attention's softmax, computed in the order of `export.translations.attention`: the scale first."""
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    return (query * scale) @ key.transpose(-1, -2)


def _squared_deviations(value: torch.Tensor, normalized_shape: Sequence[int]) -> torch.Tensor:
    """Squares of deviations from the mean. Back ends without a LayerNormalization compute them in the input's type."""
    axes = tuple(range(-len(normalized_shape), 0))
    return (value - value.mean(axes, keepdim=True)).square()
