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

from models.component import Size
from models.errors import RequestError
from models.source import Source, open_source
from runtime.conditions import Conditions
from runtime.reference import Reference, load
from runtime.stages import Sampling

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
    np.testing.assert_allclose(drawn, expected, rtol=0, atol=1e-5)


def test_image_to_image_is_diffusers_pipeline(reference: Reference, pipeline: Any) -> None:
    picture = np.random.default_rng(0).uniform(-1, 1, (SIZE.batch, 3, SIZE.height, SIZE.width))
    conditions = encoded(reference, SIZE.batch)
    start = reference.encode_picture(picture.astype(np.float32))
    expected = diffusers.AutoPipelineForImage2Image.from_pipe(pipeline)(
        PROMPT,
        image=torch.from_numpy(start),  # four channels: taken as latents, so that the encoder need not sample
        num_inference_steps=4,
        strength=0.5,
        guidance_scale=0.0,
        num_images_per_prompt=SIZE.batch,
        generator=torch.Generator().manual_seed(11),
        output_type="latent",
    ).images
    drawn = reference.sample(conditions, Sampling(4, 11, 0.5), start)
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
