"""The energy of each input channel of each weight of a component. It weights the rounding errors of the numbers.

The error of a product is the rounding error of the weight times the input. If a few channels are strong, as in every
cross-attention, where the first token of a prompt has strong channels, their numbers must be rounded best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from turbo_webnn.export.quantize.fit import Energies
from turbo_webnn.export.torch_functions import FunctionMode, parameter_names

_FLOOR = 1e-3
"""The least energy, as a part of the mean: a channel that is weak on the probe may be strong for another prompt."""


class ChannelWatch(FunctionMode):
    """Sums the squares of the input of each linear layer and each convolution, by channel."""

    def __init__(self, forward: nn.Module) -> None:
        super().__init__()
        self.energies: dict[str, torch.Tensor] = {}
        self._names = parameter_names(forward)

    def relative(self) -> Energies:
        """The energies by weight name, relative to their mean; rounded, so that every processor gives the same."""
        return {name: _relative(energy) for name, energy in self.energies.items()}

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Add the energies of the input of `function`, and call `function`."""
        if function in (functional.linear, functional.conv2d) and id(arguments[1]) in self._names:
            value, name = arguments[0], self._names[id(arguments[1])]
            channels = -1 if function is functional.linear else 1
            energy = value.movedim(channels, 0).flatten(1).square().sum(1)
            self.energies[name] = self.energies.get(name, torch.zeros(1)) + energy
        return function(*arguments, **options)


def _relative(energy: torch.Tensor) -> torch.Tensor:
    mean = energy.mean()
    return (energy / mean).clamp_min(_FLOOR).bfloat16().float() if mean > 0 else torch.ones_like(energy)
