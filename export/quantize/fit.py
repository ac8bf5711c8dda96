"""Finds the scale and the zero point that round a block of weights with the least error.

Round to nearest takes them from the range of the block, so one large weight makes the steps of all others coarse. The
search here tries the whole range and parts of it. For each range it computes the codes, and then the least-squares
scale for these codes. It takes the scale with the least squared error. This is 0.3 to 0.5 dB better on normally
distributed weights. With 8 bits it gains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from turbo_webnn.export.quantize.grid import Grid, Method

Energies = Mapping[str, torch.Tensor]
"""By weight name, the mean square of each input channel of the weight, relative to the mean of all channels, float32
[summed]. The summed axis of a weight is the one that the product sums over."""

_SHRINKS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
"""The parts of a block's range that the search tries. Smaller ones were never best on the weights tested so far."""

_AT_A_TIME = 1 << 18
"""Numbers searched at a time: intermediate values stay in the cache of a core, which is three times as fast."""


@dataclass(frozen=True)
class Fit:
    """Scales, as float32 numbers that float16 can hold, and zero points as floats, each [blocks]."""

    scales: torch.Tensor
    zeros: torch.Tensor

    def codes(self, blocks: torch.Tensor, grid: Grid) -> torch.Tensor:
        """The codes of `blocks` [blocks, numbers] as int8."""
        inverse = _inverse(self.scales).unsqueeze(1)
        codes = blocks.mul(inverse).add_(self.zeros.unsqueeze(1)).round_().clamp_(grid.lowest, grid.highest)
        return codes.to(torch.int8)

    def rounded(self, blocks: torch.Tensor, grid: Grid) -> torch.Tensor:
        """The numbers that the codes of `blocks` represent, float32."""
        return (self.codes(blocks, grid) - self.zeros.unsqueeze(1)) * self.scales.unsqueeze(1)


def fit(blocks: torch.Tensor, grid: Grid, method: Method = "search", energies: torch.Tensor | None = None) -> Fit:
    """Find scale and zero point for each row of `blocks` [blocks, numbers], float32.

    `energies` have the same shape and weight the squared errors. Without them all errors have equal weight. A block of
    zeros gets scale 0.
    """
    step = max(1, _AT_A_TIME // blocks.shape[1])
    energy_parts = [None] * -(-len(blocks) // step) if energies is None else energies.split(step)
    fits = [
        _fit(part, grid, method, part_energies)
        for part, part_energies in zip(blocks.split(step), energy_parts, strict=True)
    ]
    return Fit(torch.cat([part.scales for part in fits]), torch.cat([part.zeros for part in fits]))


def _fit(blocks: torch.Tensor, grid: Grid, method: Method, energies: torch.Tensor | None) -> Fit:
    low, high = _range(blocks, grid)
    if method == "range" or grid.bits == 8:
        return _fit_of_range(low, high, grid)
    best_gain = torch.full_like(low, -torch.inf)
    scales, zeros = torch.zeros_like(low), torch.zeros_like(low)
    weighted = blocks if energies is None else blocks * energies
    for shrink in _SHRINKS:
        candidate = _fit_of_range(low * shrink, high * shrink, grid)
        steps = candidate.codes(blocks, grid) - candidate.zeros.unsqueeze(1)  # the factors of the scale
        products = (weighted * steps).sum(1)
        squares = (steps * steps if energies is None else steps.square() * energies).sum(1)
        scale = _as_float16(products * _inverse(squares))
        # the weighted squared error is the weighted square of the block minus this gain
        gain = scale * (2 * products - scale * squares)
        better = gain > best_gain
        best_gain = torch.where(better, gain, best_gain)
        scales, zeros = torch.where(better, scale, scales), torch.where(better, candidate.zeros, zeros)
    return Fit(scales, zeros)


def _range(blocks: torch.Tensor, grid: Grid) -> tuple[torch.Tensor, torch.Tensor]:
    """The range of each block, which includes 0. It is symmetric if the grid has no zero points."""
    low, high = torch.aminmax(blocks, dim=1)
    low, high = low.clamp_max(0.0), high.clamp_min(0.0)
    if not grid.has_zeros:
        high = torch.maximum(high, -low)
        low = -high
    return low, high


def _fit_of_range(low: torch.Tensor, high: torch.Tensor, grid: Grid) -> Fit:
    if not grid.has_zeros:
        return Fit(_as_float16(high / grid.highest), torch.zeros_like(high))
    scales = _as_float16((high - low) / (grid.highest - grid.lowest))
    zeros = (grid.lowest - low * _inverse(scales)).round_().clamp_(grid.lowest, grid.highest)
    return Fit(scales, zeros)


def _as_float16(scales: torch.Tensor) -> torch.Tensor:
    return scales.to(torch.float16).to(torch.float32)


def _inverse(numbers: torch.Tensor) -> torch.Tensor:
    return torch.where(numbers > 0, 1 / numbers, 0.0)
