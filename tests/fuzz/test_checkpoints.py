"""Damaged checkpoints: all that a request can be refused for before torch is loaded."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import given

import turbo_webnn.export.exporter
from tests.fuzz.answers import RANDOMS, SHORT, mutated, refusal_of
from turbo_webnn import export_bundle
from turbo_webnn.models.checkpoint import Checkpoint
from turbo_webnn.models.source import EMBEDDED, open_source
from turbo_webnn.scripts.fuzz.mutations import mutate_folder, mutate_json_bytes, mutate_safetensors_bytes

TINY = EMBEDDED["tiny"]
CONFIGS = sorted(path.relative_to(TINY).as_posix() for path in TINY.rglob("*config.json"))
WEIGHTS = (TINY / "text_encoder" / "model.safetensors").read_bytes()


def copy_of_tiny(folder: str) -> Path:
    return Path(shutil.copytree(TINY, Path(folder, "tiny"), ignore=shutil.ignore_patterns("*.png", "*.md")))


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """No torch: requests are judged, and nothing is made."""
    monkeypatch.setattr(turbo_webnn.export.exporter, "run_worker", lambda *_: None)


def judge(checkpoint: Path) -> None:
    """Ask for an export; what is judged here is all but the weights' own bytes."""
    source = open_source(str(checkpoint))
    source.scheduler_config()
    export_bundle(source, checkpoint.parent / "bundle")


@SHORT
@given(RANDOMS)
def test_damaged_folders(rng: Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = copy_of_tiny(folder)
        for _ in range(rng.choice((1, 1, 2, 3))):
            mutate_folder(rng, checkpoint)
        refusal_of(lambda: judge(checkpoint))


@pytest.mark.parametrize("name", ["model_index.json", *CONFIGS])
@SHORT
@given(RANDOMS)
def test_damaged_configs(name: str, rng: Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = copy_of_tiny(folder)
        mutated(rng, checkpoint / name, mutate_json_bytes, (TINY / name).read_bytes())
        refusal_of(lambda: judge(checkpoint))


@SHORT
@given(RANDOMS)
def test_damaged_weights(rng: Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        mutated(rng, path, mutate_safetensors_bytes, WEIGHTS)
        refusal_of(lambda: Checkpoint.open(path.parent, "model").count())


@SHORT
@given(RANDOMS)
def test_damaged_indexes_of_shards(rng: Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model-1.safetensors").write_bytes(WEIGHTS)
        names = Checkpoint.open(TINY / "text_encoder", "model").tensors
        entries = ", ".join(f'"{name}": "model-1.safetensors"' for name in names)
        index = Path(folder, "model.safetensors.index.json")
        mutated(rng, index, mutate_json_bytes, f'{{"metadata": {{}}, "weight_map": {{{entries}}}}}'.encode())
        refusal_of(lambda: Checkpoint.open(Path(folder), "model").count())
