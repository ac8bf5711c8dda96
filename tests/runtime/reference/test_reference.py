from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from turbo_webnn.models.component import Size
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.source import Source, open_source
from turbo_webnn.runtime.draw.conditions import Conditions
from turbo_webnn.runtime.draw.sampler import Sampling
from turbo_webnn.runtime.reference.loading import load
from turbo_webnn.runtime.reference.reference import Reference
from turbo_webnn.runtime.reference.torch_modules import Float16Products
from turbo_webnn.runtime.verification.parity import compare

PROMPT = "a photograph of a lighthouse on a cliff at dusk"
SIZE = Size(2, 64, 96)


@pytest.fixture(scope="module")
def source() -> Source:
    return open_source("tiny")


@pytest.fixture(scope="module", params=["tiny", "tiny-xl"])
def reference(request: pytest.FixtureRequest) -> Reference:
    return Reference(open_source(request.param), SIZE)


@pytest.fixture(scope="module")
def pipeline(reference: Reference) -> Any:
    pipeline = diffusers.DiffusionPipeline.from_pretrained(reference.source.folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def encoded(reference: Reference, batch: int) -> Conditions:
    ids = reference.token_ids(PROMPT)
    return reference.conditions([reference.encode_text(name, np.repeat(ids[name], batch, axis=0)) for name in ids])


@pytest.mark.parametrize("steps", [1, 4])
def test_text_to_image_is_diffusers_pipeline(reference: Reference, pipeline: Any, steps: int) -> None:
    expected = pipeline(
        PROMPT,
        num_inference_steps=steps,
        guidance_scale=0.0,
        num_images_per_prompt=SIZE.batch,
        height=SIZE.height,
        width=SIZE.width,
        generator=torch.Generator().manual_seed(11),
        output_type="np",
    ).images
    conditions = encoded(reference, SIZE.batch)
    sample = reference.decode(reference.sample(conditions, Sampling(steps, 11)))
    drawn = np.clip(sample / 2 + 0.5, 0, 1).transpose(0, 2, 3, 1)
    # a trained decoder makes more of a last bit: an eight-bit step is 40 times as large
    np.testing.assert_allclose(drawn, expected, rtol=0, atol=1e-4)


def test_image_to_image_is_diffusers_pipeline(reference: Reference, pipeline: Any) -> None:
    picture = np.random.default_rng(0).uniform(-1, 1, (SIZE.batch, 3, SIZE.height, SIZE.width))
    conditions = encoded(reference, SIZE.batch)
    start = reference.encode_picture(picture.astype(np.float32))
    assert (start.pictures, start.has_variance) == (SIZE.batch, True)
    expected = diffusers.AutoPipelineForImage2Image.from_pipe(pipeline)(
        PROMPT,
        image=torch.from_numpy(picture.astype(np.float32)),
        num_inference_steps=4,
        strength=0.5,
        guidance_scale=0.0,
        num_images_per_prompt=SIZE.batch,
        generator=torch.Generator().manual_seed(11),
        output_type="latent",
    ).images
    drawn = reference.sample(conditions, Sampling(4, 11, 0.5, posterior=True), start)
    np.testing.assert_allclose(drawn, expected.numpy(), rtol=0, atol=1e-5)


def test_every_run_of_a_component_is_told(source: Source) -> None:
    told: list[tuple[str, list[str], tuple[int, ...]]] = []

    def record(component: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        told.extend((component, list(inputs), output.shape) for output in outputs.values())

    reference = Reference(source, Size(1, 64, 64))
    reference.record = record
    conditions = encoded(reference, 1)
    sample = reference.decode(reference.sample(conditions, Sampling(2, 0)))
    reference.encode_picture(sample)
    unet = ("unet", ["sample", "timestep", "encoder_hidden_states"], (1, 4, 8, 8))
    width = conditions["encoder_hidden_states"].shape[2]
    assert told == [
        ("text_encoder", ["input_ids"], (1, 77, width)),
        unet,
        unet,
        ("vae_decoder", ["latent_sample"], (1, 3, 64, 64)),
        ("vae_encoder", ["sample"], (1, 4, 8, 8)),
    ]


def test_modules_in_float16_stay_near(source: Source) -> None:
    """Within a few roundings, and sampled from the same noise; PyTorch's own float16 convolution is as near."""
    sides = [Reference(source, Size(1, 64, 64), precision) for precision in ("fp32", "fp16")]
    drawn = [side.decode(side.sample(encoded(side, 1), Sampling(2, 0))) for side in sides]
    assert drawn[1].dtype == np.float32
    assert 1e-5 < compare(*drawn).relative_l2 < 1e-2
    held = {
        name: value.dtype
        for name, value in load(source, source.family.component("unet"), torch.float16).named_parameters()
    }
    assert set(held.values()) == {torch.float16}


def test_float16_products_are_rounded_once() -> None:
    random = torch.Generator().manual_seed(0)
    sample, weight, bias = (torch.randn(shape, generator=random).half() for shape in ((1, 8, 6, 6), (4, 8, 3, 3), (4,)))
    wide = torch.conv2d(sample.double(), weight.double(), bias.double(), padding=1)
    with Float16Products():
        ours = torch.nn.functional.conv2d(sample, weight, bias=bias, padding=1)
    assert ours.dtype == torch.float16
    torch.testing.assert_close(ours.double(), wide, rtol=2.0**-10, atol=1e-5)


def test_the_pad_token_is_the_published_maps(source: Source, tmp_path: Path) -> None:
    """SD-Turbo as published: its tokenizer_config names another token than its special_tokens_map."""
    shutil.copytree(source.folder / "tokenizer", tmp_path / "tokenizer")
    path = tmp_path / "tokenizer" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pad_token": "<|endoftext|>"}))
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    ids = Reference(replace(source, folder=tmp_path), SIZE).token_ids("a cat")["text_encoder"]
    assert ids.shape == (1, 77)
    assert ids[0, -1] == 0


@pytest.mark.parametrize("name", ["text_encoder", "unet", "vae_decoder"])
def test_a_tensor_that_is_missing_is_not_made_up(source: Source, tmp_path: Path, name: str) -> None:
    component = source.family.component(name)
    shutil.copytree(source.folder / component.subfolder, tmp_path / component.subfolder)
    (weights,) = tmp_path.glob("*/*.safetensors")
    tensors = load_file(weights)
    tensors.pop(min(tensors))
    save_file(tensors, weights, {"format": "pt"})
    with pytest.raises(RequestError, match="has no tensor"):
        load(replace(source, folder=tmp_path), component)


def test_a_component_that_cannot_be_read(source: Source, tmp_path: Path) -> None:
    shutil.copytree(source.folder, tmp_path / "cut")
    weights = tmp_path / "cut" / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    reference = Reference(replace(source, folder=tmp_path / "cut"), SIZE)
    with pytest.raises(RequestError, match="truncated or corrupt"):
        reference.sample({"encoder_hidden_states": np.zeros((2, 77, 64), np.float32)}, Sampling())
