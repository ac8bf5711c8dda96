"""Measures the cost of each grid for a weight: bytes and error.

The error of a grid is the ratio of noise to signal in the product by the weight: the sum of (Ŵ − W)² divided by the sum
of W², where each number is weighted by the energy of its input channel (`export.quantize.energies`). It is measured on
a sample of the weight's rows, one weight at a time. The effect of the noise on the picture is not measured here: the
same relative noise counts the same in every weight, times the emphasis that `export.quantize.rules` gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from turbo_webnn.export.quantize.fit import fit
from turbo_webnn.export.quantize.grid import Grid
from turbo_webnn.export.quantize.packed import as_blocks, broadcast_energy
from turbo_webnn.export.quantize.rules import Options
from turbo_webnn.export.quantize.sites import Site

SAMPLE = 1 << 17
"""Numbers in the sample of a weight: a thousand blocks, with a mean error within two percent of that of all blocks."""


@dataclass(frozen=True)
class Choice:
    """One grid for one weight, its bytes, and its error: noise power divided by signal power, times the emphasis."""

    grid: Grid
    nbytes: int
    error: float


def measure_choices(site: Site, options: Options, energy: torch.Tensor | None = None) -> list[Choice]:
    """Measure the cost of each grid of `options` for the site's weight.

    Args:
        site: the weight.
        options: its grids, and the emphasis of its noise.
        energy: the energy of each input channel of the weight, [summed]; None if all are equal.
    """
    stride = -(-site.rows.size // SAMPLE)
    sample = torch.cat([part[::stride].clone() for part in site.rows.rows()])
    energies = torch.ones(()).expand(sample.shape) if energy is None else broadcast_energy(energy, sample)
    signal = float((sample.square() * energies).sum())
    scale = options.emphasis / max(signal, 1e-30)
    return [Choice(grid, site.nbytes(grid), scale * _noise(sample, grid, energies)) for grid in options.grids]


def _noise(sample: torch.Tensor, grid: Grid, energies: torch.Tensor) -> float:
    if grid.kept:
        return 0.0
    blocks, block_energies = as_blocks(sample, grid), as_blocks(energies, grid)
    rounded = fit(blocks, grid, energies=block_energies).rounded(blocks, grid)
    return float(((rounded - blocks).square() * block_energies).sum())
