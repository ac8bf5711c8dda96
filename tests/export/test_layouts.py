"""Bundles in layouts of published programs: what those load, and that it computes what ours does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from tests.conftest import exported, run_command
from turbo_webnn.export.component_graph import apply_boundary
from turbo_webnn.export.inline import save_inline
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.component import Size
from turbo_webnn.models.layouts.registry import layout_of
from turbo_webnn.runtime.draw import sampler
from turbo_webnn.runtime.draw.pipeline import Pipeline
from turbo_webnn.runtime.draw.sampler import Sampling
from turbo_webnn.runtime.draw.stages import Stages

Feeds = dict[str, NDArray[Any]]

RNG = np.random.default_rng(4)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny-xl` as the SDXL-Turbo page loads it, two pictures at a time."""
    words = ("--layout", "webnn-developer-preview", "--batch", "2")
    return exported(tmp_path_factory.mktemp("bundles") / "page", *words, source="tiny-xl")


def run(path: Path, feeds: Feeds) -> dict[str, NDArray[Any]]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(path, options)
    return dict(zip([item.name for item in session.get_outputs()], session.run(None, feeds), strict=True))


def described(bundle: Bundle) -> dict[str, tuple[list[str], list[str]]]:
    def line(tensor: Any) -> str:
        return f"{tensor.name} {tensor.dtype} {list(tensor.shape)}"

    return {
        chain.graphs[0].path: ([*map(line, chain.inputs)], [*map(line, chain.outputs)])
        for chain in bundle.manifest.components.values()
    }


def test_the_sdxl_page_finds_its_files_and_nothing_else(page: Path) -> None:
    latents, states = "float16 [2, 4, 16, 16]", "float16 [{}, 77, {}]"
    bundle = Bundle.open(page)
    first, second = (bundle.chain(name).outputs[0].shape[-1] for name in ("text_encoder", "text_encoder_2"))
    embeds = bundle.chain("text_encoder_2").outputs[1].shape[-1]
    prompt, pooled = states.format(2, first + second), f"float16 [2, {embeds}]"
    assert described(bundle) == {
        "onnx/text_encoder_model_qdq_q4f16.onnx": (
            ["input_ids int32 [1, 77]"],
            [f"hidden_states.11 {states.format(1, first)}"],
        ),
        "onnx/text_encoder_2_model_qdq_q4f16.onnx": (
            ["input_ids int64 [1, 77]"],
            [f"hidden_states.31 {states.format(1, second)}", f"text_embeds float16 [1, {embeds}]"],
        ),
        "onnx/unet_model_qdq_q4f16.onnx": (
            [
                f"sample {latents}",
                "timestep float16 [1]",
                f"encoder_hidden_states {prompt}",
                f"text_embeds {pooled}",
                "time_ids float16 [2, 6]",
            ],
            [f"out_sample {latents}"],
        ),
        "onnx/vae_decoder_model_qdq_q4f16.onnx": (
            [f"latent_sample {latents}"],
            ["sample float16 [2, 3, 128, 128]"],
        ),
        "onnx/concat_model_f16.onnx": (
            [
                f"hidden_states_1 {states.format(1, first)}",
                f"hidden_states_2 {states.format(1, second)}",
                f"text_embeds float16 [1, {embeds}]",
                "sample int32 [2]",
            ],
            [f"prompt_embeds {prompt}", f"pooled_prompt_embeds {pooled}"],
        ),
        "onnx/latents_model_f16.onnx": (
            [f"sample {latents}"],
            [f"latents {latents}", f"latentModelInput {latents}"],
        ),
        "onnx/scheduler_model_f16.onnx": (
            [f"sample {latents}", f"out_sample {latents}"],
            [f"prevSample {latents}"],
        ),
        "onnx/sc_prep_model_f16.onnx": (
            ["sample float16 [2, 3, 128, 128]"],
            ["clip_input float16 [2, 3, 224, 224]"],
        ),
    }
    folders, names = ("tokenizer", "tokenizer_2"), ("tokenizer.json", "tokenizer_config.json")
    beside = {f"{folder}/{name}" for folder in folders for name in names}
    files = {path.relative_to(page).as_posix() for path in page.rglob("*") if path.is_file()}
    assert files == {*described(bundle), *beside, "manifest.json"}
    bundle.require_intact()


def test_the_sdxl_page_draws_what_we_draw(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's own way from ids to pictures, each graph's outputs bound as the next one's inputs."""
    bundle = Bundle.open(page)
    files = {name: bundle.path(chain.graphs[0]) for name, chain in bundle.manifest.components.items()}
    ids = np.arange(77, dtype=np.int32)[np.newaxis]
    random = np.array([-(2**31), 7], np.int32)
    one = run(files["text_encoder"], {"input_ids": ids})
    two = run(files["text_encoder_2"], {"input_ids": ids.astype(np.int64)})
    told = {"hidden_states_1": one["hidden_states.11"], "hidden_states_2": two["hidden_states.31"]}
    prompt = run(files["concat"], {**told, "text_embeds": two["text_embeds"], "sample": random})
    made = run(files["latents"], {"sample": np.zeros((2, 4, 16, 16), np.float16)})
    feeds = {
        "sample": made["latentModelInput"],
        "timestep": np.array([999], np.float16),
        "encoder_hidden_states": prompt["prompt_embeds"],
        "text_embeds": prompt["pooled_prompt_embeds"],
        "time_ids": np.array([[128, 128, 0, 0, 128, 128]] * 2, np.float16),
    }
    noise = run(files["unet"], feeds)["out_sample"]
    clean = run(files["scheduler"], {"sample": made["latents"], "out_sample": noise})["prevSample"]
    sample = run(files["vae_decoder"], {"latent_sample": clean})["sample"]
    seen = run(files["sc_prep"], {"sample": sample})["clip_input"]
    assert all(np.isfinite(array).all() for array in (noise, clean, sample, seen))
    assert np.ptp(sample.astype(np.float32)) > 0.1  # not flat

    stages = Stages(bundle, "cpu")
    encoded = [stages.encode_text(name, ids.repeat(2, axis=0)) for name in ("text_encoder", "text_encoder_2")]
    run_of_one_step = stages.sampler(Sampling(1))
    monkeypatch.setattr(run_of_one_step, "begin", lambda _start: made["latents"].astype(np.float32))
    latents = sampler.sample(run_of_one_step, stages.denoiser(stages.conditions(encoded)))
    ours = stages.decode(latents)
    # sigma times what float16 rounds off the noise
    np.testing.assert_allclose(clean * np.float32(bundle.manifest.scaling_factor), latents, atol=0.15)
    assert np.mean((ours - sample.astype(np.float32)) ** 2) < 1e-3
    assert Pipeline(stages).generate("a red circle", seed=3).images[1].size == (128, 128)


def test_a_checker_says_what_runs_on_the_cpu(page: Path) -> None:
    done = run_command("check", page, "--rules-only")
    assert done.returncode == 0, done.stdout
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith("onnx/")}
    assert "CPU" in lines["onnx/latents_model_f16.onnx"]
    assert [line.split()[3] for name, line in lines.items() if "latents_model" not in name] == ["WebNN"] * 7


@pytest.mark.parametrize("layout", ["webnn-developer-preview", "ort-web-demo"])
def test_the_programs_of_sd_turbo_get_what_ours_computes(tiny_fp16: Path, tmp_path: Path, layout: str) -> None:
    """Our graphs, set into the layout's places and written as it has them."""
    bundle = Bundle.open(tiny_fp16)
    places = layout_of(layout, "stable-diffusion", "fp16").places
    for name in ("text_encoder", "unet", "vae_decoder"):
        ours, theirs = bundle.path(bundle.chain(name).graphs[0]), tmp_path / places[name].path
        model = ir.load(ours)
        apply_boundary(model, places[name], bundle.manifest.size)
        theirs.parent.mkdir(parents=True, exist_ok=True)
        save_inline(model, theirs, 1024, lambda _done: None)
        onnx.checker.check_model(str(theirs), full_check=True)
        feeds = {tensor.name: _numbers(tensor.dtype, tensor.shape) for tensor in bundle.chain(name).inputs}
        types = {item.name: _numpy(item.type) for item in ort.InferenceSession(theirs).get_inputs()}
        expected = run(ours, feeds)
        given = run(theirs, {key: value.astype(types[key]) for key, value in feeds.items()})
        assert given.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(given[key], value, rtol=0, atol=0.02 * np.abs(value).max())
        widened = {key for key, port in places[name].ports.items() if port.dtype == "float32"}
        assert {key for key, value in given.items() if value.dtype == np.dtype(np.float32)} == widened & given.keys()


def test_a_safety_checker_of_the_sd_page(tmp_path: Path) -> None:
    """A stand-in for the checker's arithmetic: a picture is found out where its mean is above zero."""
    text = """<ir_version: 10, opset_import: ["" : 20]>
    checker (float16[2,3,224,224] clip_input) => (int32[2] has_nsfw_concepts)
    <int64[3] axes = {1, 2, 3}, float nil = {0}>
    { wide = Cast <to = 1> (clip_input) mean = ReduceMean <keepdims = 0> (wide, axes)
      above = Greater(mean, nil) has_nsfw_concepts = Cast <to = 6> (above) }"""
    model = ir.from_proto(onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text)))
    place = layout_of("webnn-developer-preview", "stable-diffusion", "fp16").places["safety_checker"]
    apply_boundary(model, place, Size(2, 512, 512))
    ir.save(model, tmp_path / "checker.onnx")
    pictures = RNG.random((2, 224, 224, 3)).astype(np.float16)
    clip = np.stack([np.full((3, 224, 224), 0.5), np.full((3, 224, 224), -0.5)]).astype(np.float16)
    given = run(tmp_path / "checker.onnx", {"clip_input": clip, "images": pictures})
    assert list(given) == ["has_nsfw_concepts", "out_images"]
    assert given["has_nsfw_concepts"].dtype == np.bool_
    assert given["has_nsfw_concepts"].tolist() == [True, False]
    assert not given["out_images"][0].any()
    np.testing.assert_array_equal(given["out_images"][1], pictures[1])


def _numbers(dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    if dtype == "int32":
        return np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    return np.array([499], dtype) if shape == (1,) else RNG.standard_normal(shape).astype(dtype)


def _numpy(kind: str) -> str:
    return {"tensor(float)": "float32"}.get(kind, kind.removeprefix("tensor(").removesuffix(")"))
