from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from turbo_webnn.export.quantize.fit import Fit, fit
from turbo_webnn.export.quantize.grid import Grid, Method

FOUR, EIGHT = Grid(4, 64), Grid(8, 64)


def decibels(blocks: torch.Tensor, grid: Grid, method: Method) -> float:
    """Signal over rounding noise."""
    noise = fit(blocks, grid, method).rounded(blocks, grid) - blocks
    return 10 * math.log10(float(blocks.square().sum() / noise.square().sum()))


def normal(blocks: int, numbers: int) -> torch.Tensor:
    return torch.randn(blocks, numbers, generator=torch.Generator().manual_seed(3))


def test_numbers_on_a_grid_come_back() -> None:
    # scale 0.5, zero point 3: codes -8…7 are numbers -5.5…2
    numbers = (torch.arange(-8, 8) - 3) * 0.5
    found = fit(numbers.unsqueeze(0), Grid(4, 16))
    assert (found.scales.item(), found.zeros.item()) == (0.5, 3)
    assert found.codes(numbers.unsqueeze(0), Grid(4, 16)).tolist() == [list(range(-8, 8))]
    assert torch.equal(found.rounded(numbers.unsqueeze(0), Grid(4, 16))[0], numbers)


def test_eight_bits_are_symmetric() -> None:
    found = fit(torch.tensor([[127.0, -3.0, 0.4, -126.6]]), EIGHT)
    assert (found.scales.item(), found.zeros.item()) == (1, 0)
    assert found.codes(torch.tensor([[127.0, -3.0, 0.4, -126.6]]), EIGHT).tolist() == [[127, -3, 0, -127]]


@pytest.mark.parametrize(("block", "gain"), [(32, 0.25), (64, 0.3), (128, 0.4)])
def test_the_search_beats_the_range(block: int, gain: float) -> None:
    blocks, grid = normal(2000, block), Grid(4, block)
    assert decibels(blocks, grid, "search") > decibels(blocks, grid, "range") + gain


def test_no_block_is_worse_than_by_its_range() -> None:
    blocks = normal(500, 32) ** 3  # heavy tails
    noise = [(fit(blocks, FOUR, method).rounded(blocks, FOUR) - blocks).square().sum(1) for method in METHODS]
    assert (noise[0] <= noise[1] * 1.0001).all()


METHODS: tuple[Method, ...] = ("search", "range")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("grid", [FOUR, EIGHT])
def test_a_block_of_zeros_and_one_of_a_single_number(method: Method, grid: Grid) -> None:
    blocks = torch.zeros(2, 16)
    blocks[1] = 0.75
    rounded = fit(blocks, grid, method).rounded(blocks, grid)
    assert rounded[0].tolist() == [0.0] * 16
    np.testing.assert_allclose(rounded[1], blocks[1], rtol=2e-3)


def test_scales_are_what_float16_holds() -> None:
    scales = fit(normal(100, 32) * 0.02, FOUR).scales
    assert torch.equal(scales, scales.half().float())
    assert (scales > 0).all()


def test_what_is_searched_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from turbo_webnn.export.quantize import fit as module

    blocks = normal(100, 32)
    whole = fit(blocks, FOUR)
    monkeypatch.setattr(module, "_AT_A_TIME", 7 * 32)
    parts: Fit = fit(blocks, FOUR)
    assert torch.equal(whole.scales, parts.scales)
    assert torch.equal(whole.zeros, parts.zeros)


def test_strong_channels_are_rounded_best() -> None:
    blocks, grid = normal(300, 32), Grid(4, 32)
    energies = torch.full((1, 32), 0.01)
    energies[0, :4] = 10.0
    energies = energies.expand(blocks.shape)
    noise = [
        ((fit(blocks, grid, energies=each).rounded(blocks, grid) - blocks).square() * energies).sum()
        for each in (energies, None)
    ]
    assert noise[0] < noise[1] / 1.5
