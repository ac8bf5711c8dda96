"""From weights to a recipe: what grids cost, and what fits into a budget."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.export.quantize.bound import bound
from tests.refusal import refusal
from turbo_webnn.export.quantize.budget import Costs, choose_recipe
from turbo_webnn.export.quantize.choices import Choice, measure_choices
from turbo_webnn.export.quantize.component import measure_costs
from turbo_webnn.export.quantize.grid import KEPT, Grid
from turbo_webnn.export.quantize.plan import Quantization
from turbo_webnn.export.quantize.rules import Options
from turbo_webnn.export.quantize.sites import sites
from turbo_webnn.models.families.stable_diffusion import UNET

RANDOM = np.random.default_rng(4)
WEIGHT = (RANDOM.standard_normal((128, 64)) * 0.1).astype(np.float16)
PRODUCT = "g (float16[1,5,128] x, float16[128,64] w) => (float16[1,5,64] y) { y = MatMul(x, w) }"
FOUR, EIGHT = Grid(4, 32), Grid(8, 128)


def measured(energy: torch.Tensor | None = None) -> list[Choice]:
    (site,) = sites(bound(PRODUCT, WEIGHT, turned=True).graph)
    return measure_choices(site, Options((FOUR, EIGHT, KEPT), FOUR, 1.0), energy)


def test_bytes_are_those_of_codes_scales_and_zero_points() -> None:
    four, eight, kept = measured()
    assert four.nbytes == 128 * 64 // 2 + 128 * 64 // 32 * 2 + 128 * 64 // 32 // 2
    assert eight.nbytes == 128 * 64 + 64 * 2
    assert kept.nbytes == 128 * 64 * 2


def test_errors_are_noise_over_signal() -> None:
    four, eight, kept = measured()
    assert 10 * np.log10(four.error) == pytest.approx(-22.3, abs=0.6)
    assert 10 * np.log10(eight.error) == pytest.approx(-43.5, abs=1.5)
    assert kept.error == 0


def test_a_strong_channel_counts() -> None:
    energy = torch.full((128,), 1e-3)
    energy[5] = 100.0
    (site,) = sites(bound(PRODUCT, WEIGHT, turned=True).graph)
    assert measured(energy)[0].error < measured()[0].error / 2  # its numbers are rounded well, the others pay
    (strict,) = measure_choices(site, Options((FOUR,), FOUR, 100.0), energy)
    assert strict.nbytes == measured()[0].nbytes
    assert strict.error == pytest.approx(100 * measured(energy)[0].error)


def test_a_graphs_costs_are_its_choices_and_the_rest() -> None:
    model = bound(PRODUCT, WEIGHT, turned=True)
    found = measure_costs(model, UNET, Quantization(4), {})
    assert [choice.grid for choice in found.choices["w"]] == [
        *(Grid(4, 64), Grid(4, 32), Grid(4, 16)),
        *(Grid(8, 64), Grid(8, 32), Grid(8, 16)),
        KEPT,
    ]
    again = bound(PRODUCT, WEIGHT, turned=True)
    assert measure_costs(again, UNET, Quantization(8), {}).choices["w"][0].grid == Grid(8, 64)
    assert found.fixed > 0


COSTS = {"unet": Costs({"w": [Choice(FOUR, 500, 0.1), Choice(EIGHT, 1000, 0.001)]}, 100), "vae_encoder": Costs({}, 20)}


def test_a_budget_becomes_a_recipe() -> None:
    for budget, grid in ((1119, FOUR), (1120, EIGHT)):
        asked = choose_recipe(Quantization(4, "nbits", budget), COSTS)
        assert asked.recipe is not None
        assert asked.recipe.components == {"unet": {"w": grid}, "vae_encoder": {}}
        assert (asked.form, asked.recipe.scales) == ("nbits", "search")


def test_a_budget_that_is_too_small_is_refused() -> None:
    said = refusal(choose_recipe, Quantization(4, budget=619), COSTS)
    assert said == "the graphs take 620 bytes at the least, more than --size-budget 619; give 620 or more"
    assert refusal(choose_recipe, Quantization(8, budget=1), COSTS).endswith("or --precision q4f16")
