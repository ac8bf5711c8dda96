"""The pictures of checkpoints as people hold them are those of diffusers, which opens the same files."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests import loras
from tests.checkpoints import copied, packed, weights_in
from tests.conftest import exported, run_command
from tests.loras import CONVOLUTIONS, TEXT_MODULES, UNET_MODULES, lora
from tests.models.test_forms import cast, older_attention
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.source import EMBEDDED, open_source
from turbo_webnn.runtime.draw.pipeline import Pipeline

PROMPTS = ("a red circle on a white background", "a big blue square at the left on yellow")
PICTURES = [(prompt, seed, steps) for prompt in PROMPTS for seed, steps in ((0, 1), (1, 1), (2, 3))]
ALL_OF_UNET = re.compile(f"{UNET_MODULES.pattern}|{CONVOLUTIONS.pattern}")
OPTIONS = {"torch_dtype": torch.float32, "local_files_only": True}

Made = tuple[list[str], Any]
"""The words of an export, and diffusers' pipeline of the same files."""


def single_file_with_a_lora(tmp_path: Path) -> Made:
    source = open_source("tiny")
    file = packed(source, tmp_path / "all.safetensors", open_clip=False)
    added = lora(
        source, tmp_path / "added.safetensors", loras.kohya, {"unet": ALL_OF_UNET, "text_encoder": TEXT_MODULES}
    )
    pipeline = diffusers.StableDiffusionPipeline.from_single_file(
        str(file), config=str(EMBEDDED["tiny"]), safety_checker=None, **OPTIONS
    )
    pipeline.load_lora_weights(str(added), adapter_name="added")
    pipeline.set_adapters(["added"], [0.5])
    pipeline.fuse_lora()
    return [str(file), "--config", "tiny", "--lora", f"{added}:0.5"], pipeline


def single_file_of_sdxl_with_two_loras(tmp_path: Path) -> Made:
    source = open_source("tiny-xl")
    file = packed(source, tmp_path / "all.safetensors")
    texts = {"text_encoder": TEXT_MODULES, "text_encoder_2": TEXT_MODULES}
    first = lora(source, tmp_path / "first.safetensors", loras.kohya_xl, {"unet": ALL_OF_UNET, **texts}, scale=0.2)
    second = lora(source, tmp_path / "second.safetensors", loras.peft, texts, alpha=None, scale=0.2, seed=1)
    pipeline = diffusers.StableDiffusionXLPipeline.from_single_file(
        str(file), config=str(EMBEDDED["tiny-xl"]), add_watermarker=False, **OPTIONS
    )
    for name, path in (("first", first), ("second", second)):
        pipeline.load_lora_weights(str(path), adapter_name=name)
    pipeline.set_adapters(["first", "second"], [1.0, -0.5])
    pipeline.fuse_lora(components=["unet", *texts])
    return [str(file), "--config", "tiny-xl", "--lora", str(first), "--lora", f"{second}:-0.5"], pipeline


def older_folder_of_mixed_variants(tmp_path: Path) -> Made:
    """The VAE as SD 1.5 has it, the UNet in float64 and as `fp16` only, and another scheduler than the config's."""
    folder = copied(EMBEDDED["tiny"], tmp_path / "older", {"vae": older_attention, "unet": cast(np.float64)})
    weights = weights_in(folder / "unet")
    weights.rename(weights.with_name("diffusion_pytorch_model.fp16.safetensors"))
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        folder, variant="fp16", safety_checker=None, low_cpu_mem_usage=False, **OPTIONS
    )
    changed = {"timestep_spacing": "leading"}
    pipeline.scheduler = diffusers.EulerAncestralDiscreteScheduler.from_config(pipeline.scheduler.config, **changed)
    words = ["--scheduler", "EulerAncestralDiscreteScheduler", "--timestep-spacing", "leading"]
    return [str(folder), "--variant", "fp16", *words], pipeline


def parts_from_single_files(tmp_path: Path) -> Made:
    """A VAE under the original names and a UNet under diffusers', both with changed numbers."""
    changed = {"unet": lambda arrays: {name: 1.01 * array for name, array in arrays.items()}}
    other = open_source(str(copied(EMBEDDED["tiny"], tmp_path / "other", {**changed, "vae": changed["unet"]})))
    vae = packed(other, tmp_path / "vae.safetensors", only=["vae"], prefix="")
    unet = Path(shutil.copy(weights_in(other.folder / "unet"), tmp_path / "unet.safetensors"))
    assert load_file(unet).keys() == load_file(weights_in(EMBEDDED["tiny"] / "unet")).keys()
    folder = str(EMBEDDED["tiny"])
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        folder,
        unet=diffusers.UNet2DConditionModel.from_single_file(str(unet), config=folder, subfolder="unet", **OPTIONS),
        vae=diffusers.AutoencoderKL.from_single_file(str(vae), config=folder, subfolder="vae", **OPTIONS),
        safety_checker=None,
        **OPTIONS,
    )
    return ["tiny", "--unet", str(unet), "--vae", str(vae)], pipeline


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "make",
    [
        single_file_with_a_lora,
        single_file_of_sdxl_with_two_loras,
        older_folder_of_mixed_variants,
        parts_from_single_files,
    ],
    ids=lambda make: make.__name__,
)
def test_six_pictures(make: Callable[[Path], Made], tmp_path: Path) -> None:
    (source, *words), pipeline = make(tmp_path)
    pipeline.set_progress_bar_config(disable=True)
    folder = exported(tmp_path / "bundle", "--precision", "fp32", *words, source=source)
    ours = Pipeline.open(folder)
    for prompt, seed, steps in PICTURES:
        expected = pipeline(
            prompt,
            num_inference_steps=steps,
            guidance_scale=0.0,
            generator=torch.Generator().manual_seed(seed),
            height=128,
            width=128,
        ).images[0]
        drawn = ours.draw(prompt, seed=seed, steps=steps)
        assert np.abs(np.asarray(drawn, int) - np.asarray(expected, int)).max() <= 1
    verified = run_command("verify", folder, "--reference", source, "--steps", "1", *words)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_single_file_gives_the_graphs_of_the_folder(export_once: Callable[..., Path], tmp_path: Path) -> None:
    file = packed(open_source("tiny"), tmp_path / "all.safetensors")
    folder = exported(tmp_path / "bundle", "--config", "tiny", source=str(file))
    digests = [
        {file.path: file.sha256 for file in Bundle.open(bundle).files()} for bundle in (folder, export_once("tiny"))
    ]
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scheduler", "PNDMScheduler"], "the scheduler is a PNDMScheduler; served are"),
        (["--timestep-spacing", "often"], "the scheduler has timestep_spacing = 'often'; served is"),
        (["--config", "tiny-xl"], "tiny has configs of its own; drop --config"),
        (["--lora", "nowhere.safetensors"], "there is no file nowhere.safetensors; give a folder with a LoRA"),
        (["--unet", "tiny-xl"], "has addition_embed_type = 'text_time'; unet is served with None"),
    ],
)
def test_options_that_are_wrong(words: list[str], said: str, tmp_path: Path) -> None:
    done = run_command("export", "tiny", "-o", tmp_path / "bundle", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
