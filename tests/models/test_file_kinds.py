"""A file that is no pipeline is named as what it is, in one line, before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.checkpoints import Arrays, packed
from tests.conftest import run_command
from tests.refusal import refusal
from turbo_webnn.models.source import open_source

UNET_INPUT = "model.diffusion_model.input_blocks.0.0.weight"


def one(*names: str) -> Callable[[Arrays], Arrays]:
    return lambda _arrays: {name: np.ones((2, 2), np.float16) for name in names}


def reading(channels: int) -> Callable[[Arrays], Arrays]:
    def change(arrays: Arrays) -> Arrays:
        weight = arrays[UNET_INPUT]
        return {**arrays, UNET_INPUT: np.ones((weight.shape[0], channels, 3, 3), weight.dtype)}

    return change


KINDS: dict[str, tuple[Callable[[Arrays], Arrays], str]] = {
    "LoRA": (one("lora_unet_x.lora_down.weight"), "is a LoRA; give the pipeline as SOURCE and this file by --lora"),
    "ControlNet": (lambda arrays: {**arrays, "control_model.x": np.ones(1)}, "is a ControlNet"),
    "embedding": (one("emb_params"), "is a textual inversion"),
    "inpainting": (reading(9), "is a checkpoint for inpainting: its UNet also reads a mask"),
    "editing": (reading(8), "is a checkpoint for editing: its UNet also reads a picture"),
    "upscaler": (reading(7), "is an upscaler"),
    "depth": (reading(5), "is a checkpoint that also reads a depth map"),
    "FLUX": (one("double_blocks.0.img_attn.norm.key_norm.scale"), "is a checkpoint of FLUX"),
    "SD3": (one("model.diffusion_model.joint_blocks.0.x"), "is a checkpoint of Stable Diffusion 3"),
    "language model": (one("model.layers.0.self_attn.q_proj.weight", "lm_head.weight"), "is a language model"),
    "text encoder": (one("text_model.encoder.layers.0.mlp.fc1.weight"), "is a text encoder"),
    "anything": (one("body.0.weight"), "is no Stable Diffusion checkpoint (its first tensor is body.0.weight)"),
    "nothing": (lambda _arrays: {}, "is no Stable Diffusion checkpoint (its first tensor is none)"),
}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Arrays:
    file = packed(open_source("tiny"), tmp_path_factory.mktemp("all") / "all.safetensors", open_clip=False)
    return load_file(file)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_no_pipeline(kind: str, pipeline: Arrays, tmp_path: Path) -> None:
    change, said = KINDS[kind]
    save_file(change(pipeline), tmp_path / "it.safetensors")
    assert refusal(open_source, str(tmp_path / "it.safetensors")).startswith(f"it.safetensors {said}")


def test_a_refiner(tmp_path: Path) -> None:
    names = (UNET_INPUT, "conditioner.embedders.0.model.transformer.resblocks.9.mlp.c_proj.bias")
    save_file(one(*names)({}), tmp_path / "it.safetensors")
    assert "it.safetensors is a refiner of SDXL" in refusal(open_source, str(tmp_path / "it.safetensors"))


def test_the_configs_of_another_family(pipeline: Arrays, tmp_path: Path) -> None:
    save_file(pipeline, tmp_path / "it.safetensors")
    said = refusal(open_source, str(tmp_path / "it.safetensors"), config="tiny-xl")
    assert said == (
        "it.safetensors is Stable Diffusion 1, and tiny-xl is a StableDiffusionXLPipeline; give the configs of a "
        "pipeline such as stable-diffusion-v1-5/stable-diffusion-v1-5"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--unet"], "it.safetensors is a language model; give a file with a UNet"),
        (["--vae"], "it.safetensors is a language model; give a file with a VAE"),
        (["--lora"], "it.safetensors is no LoRA"),
    ],
)
def test_a_file_of_another_kind_by_an_option(words: list[str], said: str, tmp_path: Path) -> None:
    save_file(one("model.layers.0.x", "lm_head.weight")({}), tmp_path / "it.safetensors")
    done = run_command("export", "tiny", "-o", tmp_path / "out", *words, tmp_path / "it.safetensors")
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def nan(arrays: Arrays) -> Arrays:
    return {name: np.full_like(array, np.nan) if name == UNET_INPUT else array for name, array in arrays.items()}


def without_a_text_encoder(arrays: Arrays) -> Arrays:
    return {name: array for name, array in arrays.items() if not name.startswith("cond_stage_model.")}


def with_another_block(arrays: Arrays) -> Arrays:
    return {**arrays, "model.diffusion_model.output_blocks.99.0.in_layers.0.weight": np.ones(4, np.float16)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (nan, f"tensor {UNET_INPUT} holds NaN or Inf; the checkpoint is damaged"),
        (without_a_text_encoder, "is a UNet alone; give the pipeline as SOURCE and this file by --unet"),
        (with_another_block, "output_blocks.99.0.in_layers.0.weight, which the config of unet has no place for"),
    ],
)
def test_a_pipeline_that_is_damaged(
    change: Callable[[Arrays], Arrays], said: str, pipeline: Arrays, tmp_path: Path
) -> None:
    file = tmp_path / "it.safetensors"
    save_file(change(pipeline), file)
    done = run_command("export", file, "--config", "tiny", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert said in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it.safetensors"]


def test_a_header_of_a_gigabyte_and_one_that_names_a_tensor_twice(tmp_path: Path) -> None:
    file = tmp_path / "it.safetensors"
    with file.open("wb") as opened:
        opened.write((1 << 30).to_bytes(8, "little"))
        opened.truncate((1 << 30) + 8)  # no bytes on the disk
    assert "is truncated or corrupt" in refusal(open_source, str(file))
    entry = json.dumps({"dtype": "F32", "shape": [1], "data_offsets": [0, 4]})
    header = f'{{"a": {entry}, "a": {entry}}}'.encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    said = refusal(open_source, str(file))
    assert "the header of" in said
    assert "twice" in said or "repeated" in said or "two" in said
