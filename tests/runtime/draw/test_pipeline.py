from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.runtime.conftest import SCALING_FACTOR, MakeBundle, schedule
from turbo_webnn import Pipeline
from turbo_webnn.models.bundle import staged
from turbo_webnn.models.component import Size
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.precision import Precision
from turbo_webnn.runtime.draw.noise import Float32Array, NoiseSource
from turbo_webnn.runtime.draw.sampler import ScheduleSampler

PROMPT = "a cat"
STATES = (0 + 4 + 5 + 1 + 4 * 3) / 8  # the mean of the ids, which is all that the miniature UNet reads


def by_hand(latents: Float32Array, steps: int, first: int = 0) -> Float32Array:
    """The miniature pipeline's latents, worked out anew from the formulas."""
    for step in schedule(steps).steps[first:]:
        scaled = latents * np.float32(step.input_scale)
        eps = np.float32(0.5) * scaled + np.float32(step.timestep / 1000 + STATES)
        latents = latents + np.float32(step.next.output) * eps
    return latents


@pytest.mark.parametrize(("precision", "atol"), [("fp32", 1e-4), ("fp16", 5e-2)])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_text_to_image(make_bundle: MakeBundle, precision: Precision, atol: float, steps: int) -> None:
    pipeline = Pipeline.open(make_bundle(precision).folder, "cpu")
    result = pipeline.generate(PROMPT, steps=steps, seed=7)
    expected = by_hand(NoiseSource(7).normal((1, 4, 2, 3)) * 14, steps)
    np.testing.assert_allclose(result.latents, expected, rtol=0, atol=atol)
    assert result.images[0].size == (24, 16)
    assert result.prompt_cut == ""
    assert list(result.timings) == ["text_encoder", "unet", "vae_decoder"]


def test_the_picture_is_the_decoded_latents(make_bundle: MakeBundle) -> None:
    result = Pipeline.open(make_bundle().folder, "cpu").generate(PROMPT, seed=1)
    sample = result.latents[0, :3] / SCALING_FACTOR
    expected = np.rint(255 * np.clip(sample / 2 + 0.5, 0, 1)).transpose(1, 2, 0)
    pixels = np.asarray(result.images[0])
    np.testing.assert_allclose(pixels[::8, ::8], expected, atol=1)


def test_image_to_image(make_bundle: MakeBundle) -> None:
    pipeline = Pipeline.open(make_bundle().folder, "cpu")
    image = Image.new("RGB", (24, 16), (255, 0, 0))
    result = pipeline.generate(PROMPT, steps=4, seed=7, image=image, strength=0.5)
    colours = np.array([1, -1, -1, 0], np.float32).reshape(1, 4, 1, 1) * SCALING_FACTOR
    start = colours + NoiseSource(7).normal((1, 4, 2, 3)) * 1.5
    np.testing.assert_allclose(result.latents, by_hand(start, 4, first=2), rtol=0, atol=1e-4)
    assert list(result.timings) == ["text_encoder", "vae_encoder", "unet", "vae_decoder"]


@pytest.mark.parametrize("keep", [True, False])
def test_a_chain_draws_what_the_whole_draws(make_bundle: MakeBundle, keep: bool) -> None:
    whole = Pipeline.open(make_bundle().folder, "cpu").draw(PROMPT, steps=4, seed=7)
    cut = Pipeline.open(make_bundle(cut=True).folder, "cpu", keep_sessions=keep).draw(PROMPT, steps=4, seed=7)
    assert cut == whole


def test_a_batch_is_drawn_from_one_seed(make_bundle: MakeBundle) -> None:
    pipeline = Pipeline.open(make_bundle(size=Size(3, 16, 24)).folder, "cpu")
    result = pipeline.generate(PROMPT, seed=2)
    expected = by_hand(NoiseSource(2).normal((3, 4, 2, 3)) * 14, 1)
    np.testing.assert_allclose(result.latents, expected, rtol=0, atol=1e-4)
    assert len(result.images) == 3
    assert pipeline.draw(PROMPT, seed=2) == result.images[0]
    assert len(pipeline.generate(PROMPT, steps=2, image=Image.new("L", (5, 5))).images) == 3


def test_a_prompt_that_was_cut_is_said(make_bundle: MakeBundle) -> None:
    result = Pipeline.open(make_bundle().folder, "cpu").generate("a a a a a a cat")
    assert result.prompt_cut == "cat"


def test_progress_names_the_component_and_its_runs(make_bundle: MakeBundle) -> None:
    told: list[Any] = []
    pipeline = Pipeline.open(make_bundle().folder, "cpu", keep_sessions=False)
    pipeline.generate(PROMPT, steps=2, progress=lambda *report: told.append(report))
    assert told == [
        *(("text_encoder", done, 1) for done in (0, 1)),
        *(("unet", done, 2) for done in (0, 1, 2)),
        *(("vae_decoder", done, 1) for done in (0, 1)),
    ]


@pytest.mark.parametrize("keep", [True, False])
def test_sessions_are_kept_or_given_back(make_bundle: MakeBundle, keep: bool) -> None:
    pipeline = Pipeline.open(make_bundle().folder, "cpu", keep_sessions=keep)
    loads = [pipeline.generate(PROMPT).timings["unet"].load for _ in range(2)]
    assert loads[0] > 1e-4
    assert (loads[1] < 1e-4) == keep


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"steps": 3}, "no schedule of 3 steps; there are 1, 2, 4"),
        ({"image": Image.new("RGB", (8, 8)), "steps": 1}, "smallest strength is 1"),
        ({"seed": 2**64}, "64 bits"),
    ],
)
def test_a_request_that_cannot_be_served(make_bundle: MakeBundle, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        Pipeline.open(make_bundle().folder, "cpu").generate(PROMPT, **arguments)


def test_a_component_that_is_missing_is_told_before_any_work(make_bundle: MakeBundle) -> None:
    pipeline = Pipeline.open(make_bundle(components=("text_encoder", "unet", "vae_decoder")).folder, "cpu")
    pipeline.draw(PROMPT)
    told: list[Any] = []
    with pytest.raises(RequestError, match="has no vae_encoder"):
        pipeline.generate(PROMPT, steps=2, image=Image.new("L", (8, 8)), progress=lambda *report: told.append(report))
    assert told == []


def test_numbers_that_leave_their_range_are_told(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScheduleSampler, "begin", lambda *_: np.full((1, 4, 2, 3), np.inf, np.float32))
    for precision, right in (("fp32", "the checkpoint itself gives them"), ("fp16", "export with --precision fp32")):
        with pytest.raises(RequestError, match=f"unet gave numbers that are not finite in {precision}; {right}"):
            Pipeline.open(make_bundle(precision).folder, "cpu").draw(PROMPT)


def test_damage_that_gives_nan_is_told_as_damage(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScheduleSampler, "begin", lambda *_: np.full((1, 4, 2, 3), np.inf, np.float32))
    pipeline = Pipeline.open(make_bundle().folder, "cpu")
    path = pipeline.bundle.path(pipeline.bundle.chain("unet").graphs[0])

    def damage(component: str, done: int, runs: int) -> None:
        if component == "unet" and done == 1:  # its graph is loaded
            path.write_bytes(path.read_bytes()[::-1])

    with pytest.raises(RequestError, match="does not match its sha256 in the manifest; copy the bundle whole"):
        pipeline.generate(PROMPT, steps=2, progress=damage)


@pytest.mark.parametrize("keep_sessions", [True, False])
def test_a_pipeline_whose_bundle_is_replaced_says_so(make_bundle: MakeBundle, keep_sessions: bool) -> None:
    pipeline = Pipeline.open(make_bundle().folder, "cpu", keep_sessions=keep_sessions)
    folder = pipeline.bundle.folder

    def replace(component: str, done: int, runs: int) -> None:
        if (component, done) == ("unet", 0):
            with staged(folder, overwrite=True) as stage:
                shutil.copytree(folder, stage, dirs_exist_ok=True)

    with pytest.raises(RequestError, match="was replaced or removed since the bundle was opened; open the bundle anew"):
        pipeline.generate(PROMPT, progress=replace)
    Pipeline.open(folder, "cpu").draw(PROMPT)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"prompt": 3}, "prompt is 3 "),
        ({"prompt": "a\udcff"}, "prompt holds "),
        ({"steps": "1"}, "steps is '1' "),
        ({"seed": 1.5}, "seed is 1.5 "),
        ({"strength": "half"}, "strength is 'half' "),
        ({"image": "cat.png"}, "image is 'cat.png' "),
    ],
)
def test_arguments_of_other_types_are_told(make_bundle: MakeBundle, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError) as refused:
        Pipeline.open(make_bundle().folder, "cpu").generate(**{"prompt": PROMPT, **arguments})
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize(
    "work",
    [
        "Pipeline.open({!r}, 'cpu').draw('a cat', steps=2)",
        "main(['generate', {!r}, 'a cat', '-o', {!r} + '/picture.png', '--provider', 'cpu'])",
        "main(['bench', {!r}, '--rounds', '1', '--provider', 'cpu', '--threads', '1'])",
    ],
)
def test_it_runs_without_what_only_an_export_needs(make_bundle: MakeBundle, tmp_path: Path, work: str) -> None:
    folder = str(make_bundle().folder)
    absent = tmp_path / "absent"  # found first, in processes that a process starts too
    absent.mkdir()
    for name in ("torch", "diffusers", "transformers", "onnx_ir", "onnxscript"):
        (absent / f"{name}.py").write_text(f"raise ModuleNotFoundError('No module named {name}', name={name!r})")
    code = f"""
import sys
from turbo_webnn import Pipeline
from turbo_webnn.scripts import cli

def main(words):
    sys.argv[1:] = words
    assert cli.main() == 0

{work.format(folder, folder)}
assert "export" not in sys.modules
"""
    paths = os.pathsep.join([str(absent), str(Path.cwd())])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
