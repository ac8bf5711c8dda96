"""Damaged bundles: where a sha256 tells the damage they are refused, elsewhere they serve or are refused in a line."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.answers import RANDOMS, SHORT, mutated, refusal_of
from turbo_webnn.export.quantize.recipe import read_recipe
from turbo_webnn.models.bundle import MANIFEST, Bundle, read_manifest
from turbo_webnn.runtime.draw.text import tokenizers_of
from turbo_webnn.runtime.webnn.check import check_static, load_target
from turbo_webnn.runtime.webnn.weightless import read_weightless
from turbo_webnn.scripts.fuzz.mutations import mutate_folder, mutate_json_bytes, mutate_onnx_bytes
from turbo_webnn.scripts.fuzz.sealing import has_digest_mismatch, reseal

RECIPE = {
    "format": 1,
    "scales": "search",
    "components": {"unet": {f"blocks.{i}": {"bits": bits, "block": 32} for i, bits in enumerate((4, 8, 16))}},
}


def use(bundle: Bundle) -> None:
    """Read all that a bundle says, and its graphs as `check` reads them."""
    for tokenizer in tokenizers_of(bundle).values():
        tokenizer.encode("a red circle")
    for chain in bundle.manifest.components.values():
        for graph in chain.graphs:
            read_weightless(bundle.path(graph))


@SHORT
@given(RANDOMS)
def test_damaged_folders(good: Path, rng: Random) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(good, Path(scratch, "bundle")))
        for _ in range(rng.choice((1, 1, 2, 3))):
            mutate_folder(rng, folder)
        told = has_digest_mismatch(folder, good)
        refused = refusal_of(lambda: use(Bundle.open(folder)))
        assert refused or not told


@SHORT
@given(RANDOMS)
def test_damage_that_the_manifest_fits(good: Path, rng: Random) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(good, Path(scratch, "bundle")))
        mutate_folder(rng, folder)
        reseal(folder)
        refusal_of(lambda: use(Bundle.open(folder)))


@SHORT
@given(RANDOMS)
def test_damaged_manifests(good: Path, rng: Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        mutated(rng, Path(folder, MANIFEST), mutate_json_bytes, (good / MANIFEST).read_bytes())
        refusal_of(lambda: read_manifest(Path(folder)).to_json())


@SHORT
@given(RANDOMS)
def test_damaged_recipes(rng: Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "recipe.json")
        path.write_text(json.dumps(RECIPE))
        assert refusal_of(lambda: read_recipe(path)) is None
        mutated(rng, path, mutate_json_bytes, json.dumps(RECIPE).encode())
        refusal_of(lambda: read_recipe(path))


@SHORT
@given(RANDOMS)
def test_damaged_graphs(good: Path, rng: Random) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(good / "text_encoder", Path(scratch, "bundle", "text_encoder")))
        path = folder / "model.onnx"
        mutated(rng, path, mutate_onnx_bytes, path.read_bytes())
        refusal_of(lambda: read_weightless(path))
        refusal_of(lambda: check_static(path, load_target("portable")))


@SHORT
@given(st.text(max_size=400))
def test_any_prompt(good: Path, prompt: str) -> None:
    bundle = Bundle.open(good)
    for name, tokenizer in tokenizers_of(bundle).items():
        tokens = tokenizer.encode(prompt)
        assert tokens.ids.shape == (1, 77), name
        assert tokens.ids.dtype == np.int32
        assert prompt.endswith(tokens.cut)
