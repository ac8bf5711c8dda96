from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.export.quantize.bound import bound
from tests.refusal import refusal
from turbo_webnn.export.quantize.grid import KEPT, Grid
from turbo_webnn.export.quantize.recipe import RECIPE, Recipe, read_recipe
from turbo_webnn.export.quantize.sites import Site, sites

RECIPE_OF_TWO = Recipe({"unet": {"w": Grid(4, 32), "v": Grid(8)}, "vae_decoder": {"conv_out.weight": KEPT}}, "range")


def site(text: str, *shape: int) -> Site:
    """Where the graph of `text` reads its weight w."""
    turned = "MatMul" in text
    (found,) = sites(bound(text, np.zeros(shape, np.float16), turned=turned).graph)
    return found


GEMM = "g (float16[3,64] x, float16[24,64] w) => (float16[3,24] y) { y = Gemm<transB=1>(x, w) }"
TABLE = "g (int32[1,3] i, float16[40,32] w) => (float16[1,3,32] y) { y = Gather(w, i) }"


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    RECIPE_OF_TWO.write(tmp_path)
    assert read_recipe(tmp_path / RECIPE) == RECIPE_OF_TWO
    held = json.loads((tmp_path / RECIPE).read_text())
    assert held["components"]["unet"] == {"w": {"bits": 4, "block": 32}, "v": {"bits": 8, "block": None}}


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"format": 2}, "has format 2, this reads 1"),
        ({"components": []}, "is not of the right form (Expected object, got array - at components)"),
        (
            {"components": {"unet": {"w": {"bitz": 4}}}},
            "(Object missing required field bits - at",
        ),
        ({"components": {"unet": {"w": {"bits": 5}}}}, "(there is no grid of 5 bits in blocks of None - at"),
        ({"components": {"unet": {"w": {"bits": 4, "block": 48}}}}, "(there is no grid of 4 bits in blocks of 48 - at"),
        ({"components": {"unet": {"w": {"bits": "4"}}}}, "(Expected int, got str - at"),
        ({"scales": "best"}, "(Invalid enum value 'best' - at scales)"),
    ],
)
def test_what_is_no_recipe_is_refused(tmp_path: Path, changes: dict[str, Any], wrong: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps(RECIPE_OF_TWO.to_json() | changes))
    said = refusal(read_recipe, path)
    assert wrong in said
    assert said.startswith(str(path))
    assert said.endswith("; give a recipe.json that an export wrote")


def test_it_must_be_for_the_same_weights() -> None:
    gemm = site(GEMM, 24, 64)

    def said(grids: dict[str, Grid]) -> str:
        return refusal(Recipe({"unet": grids}).grids_for, "unet", [gemm])

    assert Recipe({"unet": {gemm.name: Grid(4, 32)}}).grids_for("unet", [gemm]) == {gemm.name: Grid(4, 32)}
    assert said({}) == f"the recipe lacks unet's {gemm.name}; give one of the same architecture"
    assert "names unet's other" in said({gemm.name: KEPT, "other": KEPT})
    assert "on Grid(bits=4, block=128)" in said({gemm.name: Grid(4, 128)})  # it has 64 columns
    assert "on Grid(bits=4, block=None)" in said({gemm.name: Grid(4)})


def test_grids_of_a_product_a_table_and_an_odd_width() -> None:
    gemm, table = site(GEMM, 24, 64), site(TABLE, 40, 32)
    assert gemm.grids(4) == [Grid(4, 64), Grid(4, 32), Grid(4, 16)]
    assert gemm.grids(8) == [Grid(8)]
    assert (table.grids(4), table.grids(8)) == ([], [Grid(8)])
    product = "g (float16[3,96] x, float16[96,24] w) => (float16[3,24] y) { y = MatMul(x, w) }"
    # evenly many blocks in 4 bits: 96 has one of 64 and a half, three of 32, six of 16
    assert site(product, 96, 24).grids(4) == [Grid(4, 16)]
    assert site(product, 96, 24).grids(8) == [Grid(8, 16)]
    odd = "g (float16[3,100] x, float16[100,24] w) => (float16[3,24] y) { y = MatMul(x, w) }"
    assert (site(odd, 100, 24).grids(4), site(odd, 100, 24).grids(8)) == ([], [Grid(8)])
