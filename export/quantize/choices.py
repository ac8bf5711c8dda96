"""What each grid would cost a weight: bytes, and error.

The error of a grid is the noise that it adds to what the weight makes, by the signal there: the squares of Ŵ − W by
those of W, each number weighed by the energy that it meets (`export.quantize.energies`). It is measured on a sample
of each weight's rows as they are read, a weight at a time. What a weight's noise does to the picture further on is not
measured here: relative noise counts alike wherever it arises, but for the parts that `export.quantize.rules` knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from turbo_webnn.export.quantize.fit import fit
from turbo_webnn.export.quantize.grid import Grid
from turbo_webnn.export.quantize.packed import as_blocks, spread
from turbo_webnn.export.quantize.rules import Options
from turbo_webnn.export.quantize.sites import Site

SAMPLE = 1 << 17
"""Numbers of a weight that are looked at: a thousand blocks, whose mean error is within two percent of all blocks'."""


@dataclass(frozen=True)
class Choice:
    """One grid for one weight, the bytes that it takes, and its error: noise over signal, in power, as it counts."""

    grid: Grid
    nbytes: int
    error: float


def choices(site: Site, options: Options, energy: torch.Tensor | None = None) -> list[Choice]:
    """What each grid of `options` costs the site's weight, `energy` [summed] being that of the channels it meets."""
    stride = -(-site.rows.size // SAMPLE)
    sample = torch.cat([part[::stride].clone() for part in site.rows.rows()])
    energies = torch.ones(()).expand(sample.shape) if energy is None else spread(energy, sample)
    signal = float((sample.square() * energies).sum())
    scale = options.emphasis / max(signal, 1e-30)
    return [Choice(grid, site.nbytes(grid), scale * _noise(sample, grid, energies)) for grid in options.grids]


def _noise(sample: torch.Tensor, grid: Grid, energies: torch.Tensor) -> float:
    if grid.kept:
        return 0.0
    blocks, weighed = as_blocks(sample, grid), as_blocks(energies, grid)
    rounded = fit(blocks, grid, energies=weighed).rounded(blocks, grid)
    return float(((rounded - blocks).square() * weighed).sum())
