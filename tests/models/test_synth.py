from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from diffusers import StableDiffusionPipeline

from tests.refusal import refusal
from turbo_webnn.models import synth
from turbo_webnn.models.families.stable_diffusion import SAFETY_CHECKER
from turbo_webnn.models.source import EMBEDDED, open_source
from turbo_webnn.models.synth import PRESETS, synthesize


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The preset `small`: the configs of `tiny`, without its weights and its vocabulary."""
    shutil.copytree(
        EMBEDDED["tiny"],
        tmp_path / "presets" / "small",
        ignore=shutil.ignore_patterns("*.safetensors", "vocab.json", "merges.txt", "tokenizer.json"),
    )
    monkeypatch.setattr(synth, "PRESETS", {"small": tmp_path / "presets" / "small"})


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first, again, other = (
        digests(synthesize("small", tmp_path / name, seed=seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again
    differing = {name for name, digest in other.items() if first[name] != digest}
    assert differing == {"synth.json", *(name for name in first if name.endswith(".safetensors"))}


def test_blocks_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = digests(synthesize("small", tmp_path / "a"))
    monkeypatch.setattr(synth, "_BLOCK", 1 << 10)
    assert digests(synthesize("small", tmp_path / "b")) == whole


def test_diffusers_loads_what_is_written(tmp_path: Path) -> None:
    folder = synthesize("small", tmp_path / "small", seed=3)
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    for part, stem in (
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
    ):
        written = safetensors.numpy.load_file(folder / part / f"{stem}.safetensors")
        loaded = dict(getattr(pipeline, part).named_parameters())
        assert len(written) == len(loaded)
        for name, expected in written.items():
            parameter = loaded[name.removeprefix("text_model.") if name not in loaded else name]
            np.testing.assert_array_equal(parameter.detach().numpy(), expected)
    picture = pipeline("a cat", num_inference_steps=1, guidance_scale=0.0, output_type="np").images[0]
    assert np.isfinite(picture).all()
    assert picture.std() > 0.02  # not flat


def test_the_fp16_variant(tmp_path: Path) -> None:
    folder = synthesize("small", tmp_path / "small", variant="fp16")
    source = open_source(str(folder), variant="fp16")
    for component in source.family.components:
        assert {stored.dtype for stored in source.checkpoint(component).tensors.values()} == {"F16"}
    assert not list(folder.rglob("model.safetensors"))
    unet = StableDiffusionPipeline.from_pretrained(
        folder, variant="fp16", dtype=torch.float16, local_files_only=True
    ).unet
    assert all(torch.isfinite(parameter).all() for parameter in unet.parameters())


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    told: dict[str, list[float]] = {}
    synthesize("small", tmp_path / "small", report=lambda part, done: told.setdefault(part, []).append(done))
    assert set(told) == {"text_encoder", "unet", "vae"}
    for fractions in told.values():
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1


def test_an_old_folder_is_replaced_on_request_only(tmp_path: Path) -> None:
    folder = synthesize("small", tmp_path / "small", seed=1)
    assert "exists; give --overwrite" in refusal(synthesize, "small", folder, seed=2)
    before = digests(folder)
    assert digests(synthesize("small", folder, seed=2, overwrite=True)) != before


@pytest.mark.parametrize(
    ("preset", "variant", "said"),
    [
        ("large", None, "there is no preset 'large'; there is small"),
        ("small", "bf16", "there is no variant 'bf16'; give fp16, or leave it away for float32"),
    ],
)
def test_what_there_is_not(tmp_path: Path, preset: str, variant: str | None, said: str) -> None:
    assert refusal(synthesize, preset, tmp_path / "out", variant=variant) == said
    assert not (tmp_path / "out").exists()


def test_published_presets_have_no_weights() -> None:
    assert "sd-turbo" in PRESETS
    for folder in PRESETS.values():
        assert not list(folder.rglob("*.safetensors"))
        if folder.name == "safety-checker":
            SAFETY_CHECKER.require_served(json.loads((folder / "config.json").read_text()), folder.name)
            continue
        source = open_source(str(folder))
        for component in source.family.components:
            assert source.config(component)
        assert json.loads((folder / "text_encoder" / "config.json").read_text())["vocab_size"] == 49408
