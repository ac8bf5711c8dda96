"""What each grid would cost a weight: bytes, and error.

The error of a grid is the noise that it adds to what the weight makes, by the signal there: ‖Ŵ − W‖² / ‖W‖², as if
all that enters a product were of equal strength. It is measured on a sample of each weight's rows as they are read,
a weight at a time. What a weight's noise does to the picture is not measured: relative noise counts alike wherever
it arises, and the parts where that is known to be wrong are kept out of the choice (`export.quantize.rules`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from export.quantize.fit import fit
from export.quantize.grid import Grid, Method
from export.quantize.packed import as_blocks
from export.quantize.sites import Site

SAMPLE = 1 << 17
"""Numbers of a weight that are looked at: a thousand blocks, whose mean error is within two percent of all blocks'."""


@dataclass(frozen=True)
class Choice:
    """One grid for one weight, the bytes that it takes, and its relative error as noise over signal, in power."""

    grid: Grid
    nbytes: int
    error: float


def choices(site: Site, grids: Sequence[Grid], method: Method = "search") -> list[Choice]:
    """What each of `grids` costs the site's weight."""
    stride = -(-site.rows.size // SAMPLE)
    sample = torch.cat([part[::stride].clone() for part in site.rows.rows()])
    signal = float(sample.square().sum())
    return [Choice(grid, grid.nbytes(site.shape), _noise(sample, grid, method) / max(signal, 1e-30)) for grid in grids]


def _noise(sample: torch.Tensor, grid: Grid, method: Method) -> float:
    if grid.kept:
        return 0.0
    blocks = as_blocks(sample, grid)
    return float((fit(blocks, grid, method).rounded(blocks, grid) - blocks).square().sum())
