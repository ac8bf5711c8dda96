"""Overflows planted in copies of `tiny`: found where they are, and contained."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tests.graphs import run
from tests.refusal import refusal
from turbo_webnn.export.activations import find_overflows, measure_activations
from turbo_webnn.export.overflows import Overflows
from turbo_webnn.export.passes import simplify
from turbo_webnn.export.probes import SIZE, make_probe
from turbo_webnn.export.streaming import meta_forward, run_streamed
from turbo_webnn.export.trace import trace
from turbo_webnn.export.weights import bind_weights
from turbo_webnn.models.component import Size
from turbo_webnn.models.source import EMBEDDED, Source, open_source
from turbo_webnn.runtime.reference.loading import load
from turbo_webnn.runtime.verification.parity import compare

VAE = "vae/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"

Change = Callable[[dict[str, np.ndarray]], None]


def changed(folder: Path, weights: str, change: Change) -> Source:
    """A copy of `tiny` in `folder`, its tensors in the file `weights` changed."""
    shutil.copytree(EMBEDDED["tiny"], folder, dirs_exist_ok=True)
    tensors = {name: array.copy() for name, array in load_file(folder / weights).items()}
    change(tensors)
    save_file(tensors, folder / weights)
    return open_source(str(folder))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A VAE whose decoder overflows after its last upsampling, until the last norm brings it back, as SDXL's does."""

    def plant(tensors: dict[str, np.ndarray]) -> None:
        tensors["decoder.up_blocks.2.upsamplers.0.conv.weight"] *= 5e4

    return changed(tmp_path_factory.mktemp("planted"), VAE, plant)


def test_what_is_measured_is_what_the_modules_give() -> None:
    source = open_source("tiny")
    component = source.family.component("vae_decoder")
    vae, given = load(source, component), {}
    for name in ("decoder.conv_in", "decoder.mid_block.attentions.0.to_q", "decoder.up_blocks.3.resnets.0.norm1"):
        vae.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: given.update({name: float(output.abs().max())})
        )
    expected = vae.decode(make_probe(component, source)["latent_sample"]).sample
    largest = measure_activations(component, source).results
    assert len(given) == 3
    assert {name: largest[name] for name in given} == pytest.approx(given, rel=1e-4)
    assert largest["decoder.conv_out"] == pytest.approx(float(expected.abs().max()), rel=1e-4)


@pytest.mark.parametrize("name", ["text_encoder", "unet", "vae_encoder"])
def test_a_streamed_component_computes_what_the_loaded_one_does(name: str) -> None:
    source = open_source("tiny")
    component = source.family.component(name)
    inputs = make_probe(component, source)
    config = source.config(component)
    assert {key: tuple(value.shape) for key, value in inputs.items()} == {
        spec.name: (2,) if spec.name == "timestep" else spec.shape(SIZE, config) for spec in component.inputs
    }
    forward = meta_forward(component, source, SIZE)
    outputs = run_streamed(forward, component, source, inputs)
    assert {parameter.device.type for parameter in forward.parameters()} == {"meta"}  # nothing is held
    module = load(source, component)
    with torch.no_grad():
        expected = {
            "text_encoder": lambda: module(input_ids=inputs["input_ids"]).last_hidden_state,
            "unet": lambda: module(*inputs.values()).sample,
            "vae_encoder": lambda: module.encode(inputs["sample"]).latent_dist.mode(),
        }[name]()
    torch.testing.assert_close(next(iter(outputs.values())), expected, rtol=1e-4, atol=1e-4)


def test_a_planted_overflow_is_found_where_it_is(planted: Source) -> None:
    decoder, encoder = (planted.family.component(name) for name in ("vae_decoder", "vae_encoder"))
    overflows = find_overflows(decoder, planted)
    found = overflows.results
    assert set(found) == {
        "decoder.up_blocks.2.upsamplers.0.conv",
        "decoder.up_blocks.3.resnets.0.conv_shortcut",
        "decoder.up_blocks.3.resnets.0",
        "decoder.up_blocks.3.resnets.1",
    }
    assert 65504 < found["decoder.up_blocks.3.resnets.1"] < found["decoder.up_blocks.2.upsamplers.0.conv"] < 1e6
    assert not overflows.inside
    assert find_overflows(decoder, planted) == overflows  # the probe is seeded
    assert find_overflows(encoder, planted) == Overflows()


def test_a_planted_overflow_is_contained(planted: Source) -> None:
    component = planted.family.component("vae_decoder")
    latents = np.random.default_rng(3).normal(0, 4, (1, 4, 8, 8)).astype(np.float16)
    with torch.no_grad():
        expected = load(planted, component).decode(torch.from_numpy(latents).float()).sample.numpy()

    def decoded(overflows: Overflows) -> np.ndarray:
        model = trace(component, planted.config(component), Size(1, 64, 64))
        bind_weights(model, component, planted.checkpoint(component))
        simplify(model, "fp16", overflows)
        assert model.graph.outputs[0].dtype == ir.DataType.FLOAT16
        return run(model, latent_sample=latents)[0]

    assert not np.isfinite(decoded(Overflows())).all()
    held = compare(expected, decoded(find_overflows(component, planted)))
    assert held.finite
    assert held.psnr > 60


def test_scores_of_attention_and_squares_inside_a_layer_norm_are_looked_at(tmp_path: Path) -> None:
    def sharpen(tensors: dict[str, np.ndarray]) -> None:
        for name in ("q_proj", "k_proj"):
            key = next(key for key in tensors if key.endswith(f"layers.1.self_attn.{name}.weight"))
            tensors[key] *= 300

    source = changed(tmp_path / "sharp", TEXT, sharpen)
    found = find_overflows(source.family.component("text_encoder"), source)
    assert (set(found.results), set(found.inside)) == (set(), {"encoder.layers.1.self_attn"})

    def shift(tensors: dict[str, np.ndarray]) -> None:
        key = next(key for key in tensors if key.endswith("position_embedding.weight"))
        tensors[key][:, 0] = 300  # 300² is beyond float16, 300 is not

    source = changed(tmp_path / "shifted", TEXT, shift)
    found = find_overflows(source.family.component("text_encoder"), source)
    assert not found.results
    assert {place.rpartition(".")[2] for place in found.inside} == {"layer_norm1", "layer_norm2", "final_layer_norm"}


def test_numbers_that_float32_cannot_hold_either_are_refused(tmp_path: Path) -> None:
    def explode(tensors: dict[str, np.ndarray]) -> None:
        for name in ("encoder.conv_out", "quant_conv"):
            tensors[f"{name}.weight"] = tensors[f"{name}.weight"].astype(np.float32) * 1e30

    source = changed(tmp_path / "exploded", VAE, explode)
    said = refusal(find_overflows, source.family.component("vae_encoder"), source)
    assert re.fullmatch(
        "vae_encoder of exploded computes (inf|nan) in its forward, even in float32; the checkpoint is damaged", said
    )
