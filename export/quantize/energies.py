"""How strongly each channel enters each weight of a component: what rounding a number costs is weighed by it.

The error that a product makes is the weight's rounding error times what it meets. Where a few channels are strong,
as those of a prompt's first token are in every cross-attention, their numbers are the ones to round well.
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
"""Of the mean energy: a channel that the probe leaves silent may speak up for another prompt."""


class ChannelWatch(FunctionMode):
    """Sums the squares of what each linear layer and each convolution takes, by channel."""

    def __init__(self, forward: nn.Module) -> None:
        super().__init__()
        self.energies: dict[str, torch.Tensor] = {}
        self._names = parameter_names(forward)

    def relative(self) -> Energies:
        """The energies by the name of the weight, each to its mean; rounded, for other processors to agree."""
        return {name: _relative(energy) for name, energy in self.energies.items()}

    def call(self, function: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        """Call `function`, and look at what its weight meets."""
        if function in (functional.linear, functional.conv2d) and id(arguments[1]) in self._names:
            value, name = arguments[0], self._names[id(arguments[1])]
            channels = -1 if function is functional.linear else 1
            energy = value.movedim(channels, 0).flatten(1).square().sum(1)
            self.energies[name] = self.energies.get(name, torch.zeros(1)) + energy
        return function(*arguments, **options)


def _relative(energy: torch.Tensor) -> torch.Tensor:
    mean = energy.mean()
    return (energy / mean).clamp_min(_FLOOR).bfloat16().float() if mean > 0 else torch.ones_like(energy)
