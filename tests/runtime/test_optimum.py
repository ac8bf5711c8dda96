"""Bundles in the layout `optimum`: in its pipelines, which live in an environment of their own, and in ours."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Export
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.runtime.draw.bundle_drawer import latent_shape
from turbo_webnn.runtime.draw.noise import NoiseSource
from turbo_webnn.runtime.draw.pipeline import Pipeline
from turbo_webnn.runtime.draw.stages import Stages
from turbo_webnn.runtime.verification.parity import PICTURE_GATES, compare

SCRIPT = Path(__file__).parents[1] / "optimum_draw.py"

PROMPT, SEED = "a red circle on a blue background", 7


@pytest.fixture(scope="module", params=["tiny", "tiny-xl"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def bundle(name: str, export_once: Export) -> Path:
    return export_once(f"{name}-optimum", "--layout", "optimum", source=name)


@pytest.fixture(scope="session")
def optimum() -> Path:
    """The Python of an environment with optimum-onnx: scripts/test makes one, the variable names another."""
    python = Path(os.environ.get("OPTIMUM_PYTHON", ".venv-optimum/bin/python"))
    if not python.exists():
        pytest.skip(f"{python} is absent: scripts/test makes it where optimum-onnx can be installed")
    return python.absolute()


def test_it_is_a_diffusers_folder(bundle: Path) -> None:
    held = Bundle.open(bundle)
    files = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()}
    assert {file.path for file in held.files()} | {"manifest.json"} == files
    assert {"model_index.json", "scheduler/scheduler_config.json"} <= files
    assert {f"{tokenizer}/vocab.json" for tokenizer in held.manifest.tokenizers} <= files
    for name, chain in held.manifest.components.items():
        assert chain.graphs[0].path == f"{name}/model.onnx"
        assert f"{name}/config.json" in files
    assert held.chain("vae_encoder").adapters == {"latent_sample": "first_half"}
    assert held.chain("vae_encoder").outputs[0].name == "latent_parameters"
    assert held.chain("unet").inputs[1].shape == ()
    held.require_intact()


def test_optimum_draws_what_we_draw(bundle: Path, optimum: Path, tmp_path: Path) -> None:
    held = Bundle.open(bundle)
    np.save(tmp_path / "noise.npy", NoiseSource(SEED).normal(latent_shape(held)))
    words = [optimum, SCRIPT, bundle, tmp_path / "noise.npy", PROMPT, tmp_path / "drawn.npy"]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    theirs = np.load(tmp_path / "drawn.npy")
    ours = Pipeline(Stages(held, "cpu")).generate(PROMPT, seed=SEED).images
    figures = compare(theirs.astype(np.float32), np.stack([np.asarray(image, np.float32) / 255 for image in ours]))
    assert figures.psnr >= PICTURE_GATES["fp16"].psnr, figures
    assert np.ptp(theirs) > 0.1  # not flat


def test_it_computes_what_ours_does(name: str, bundle: Path, request: pytest.FixtureRequest) -> None:
    """The mean of its moments is ours, and so are the states that its text encoders give among all."""
    ours = Bundle.open(request.getfixturevalue(f"{name.replace('-', '_')}_fp16"))
    size, sides = ours.manifest.size, [Stages(each, "cpu") for each in (ours, Bundle.open(bundle))]
    pixels = np.random.default_rng(1).uniform(-1, 1, (1, 3, size.height, size.width)).astype(np.float32)
    expected, given = (side.run("vae_encoder", {"sample": pixels})["latent_sample"] for side in sides)
    assert given.shape == latent_shape(ours)
    np.testing.assert_allclose(given, expected, atol=2e-3)
    ids = np.arange(77, dtype=np.int32)[np.newaxis]
    for encoder in ours.family.text_encoders:
        expected_states, states = (side.encode_text(encoder.name, ids) for side in sides)
        assert list(states) == list(expected_states)
        for name, state in states.items():
            np.testing.assert_allclose(state, expected_states[name], rtol=1e-2, atol=1e-2, err_msg=name)
