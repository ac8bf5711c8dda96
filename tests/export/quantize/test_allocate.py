from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from turbo_webnn.export.quantize.allocate import allocate, least_bytes
from turbo_webnn.export.quantize.choices import Choice
from turbo_webnn.export.quantize.grid import KEPT, Grid

LEAN, FINE, BYTES = Grid(4, 128), Grid(4, 32), Grid(8)


def weight(numbers: int, *errors: float) -> list[Choice]:
    """Choices of a weight of so many numbers."""
    grids = (LEAN, FINE, BYTES, KEPT)
    return [Choice(grid, grid.nbytes((1, numbers)), error) for grid, error in zip(grids, errors, strict=True)]


CHOICES = {
    "small": weight(1280, 0.010, 0.007, 0.0001, 0.0),
    "large": weight(12800, 0.010, 0.007, 0.0001, 0.0),
    "sensitive": weight(12800, 0.100, 0.070, 0.0010, 0.0),
}
LEAST = least_bytes(CHOICES)
MOST = sum(each[-1].nbytes for each in CHOICES.values())


def error(grids: dict[str, Grid]) -> float:
    return sum(choice.error for name, each in CHOICES.items() for choice in each if choice.grid == grids[name])


def nbytes(grids: dict[str, Grid]) -> int:
    return sum(choice.nbytes for name, each in CHOICES.items() for choice in each if choice.grid == grids[name])


def test_the_least_and_the_most() -> None:
    assert set(allocate(CHOICES, LEAST).values()) == {LEAN}
    assert set(allocate(CHOICES, MOST).values()) == {KEPT}


def test_bytes_go_where_they_save_the_most_error() -> None:
    grids = allocate(CHOICES, LEAST + 800)
    assert (grids["small"], grids["large"], grids["sensitive"]) == (BYTES, LEAN, LEAN)
    grids = allocate(CHOICES, LEAST + 8000)
    assert (grids["small"], grids["large"], grids["sensitive"]) == (BYTES, FINE, BYTES)


@pytest.mark.parametrize("budget", np.linspace(LEAST, MOST, 40).astype(int).tolist())
def test_a_budget_is_kept_and_hardly_anything_does_better(budget: int) -> None:
    grids = allocate(CHOICES, budget)
    assert nbytes(grids) <= budget
    every = (
        {name: choice.grid for name, choice in zip(CHOICES, picks, strict=True)} for picks in product(*CHOICES.values())
    )
    best = min(error(each) for each in every if nbytes(each) <= budget)
    # what greedy leaves is at most one step that did not fit
    assert error(grids) <= best + 0.03


def test_more_bytes_are_never_worse() -> None:
    errors = [error(allocate(CHOICES, budget)) for budget in range(LEAST, MOST, 500)]
    assert errors[-1] < errors[0] / 20
    assert all(later <= earlier + 0.03 for earlier, later in pairwise(errors))
