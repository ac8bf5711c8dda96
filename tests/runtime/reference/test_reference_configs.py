"""The reference against diffusers' own pipelines, over config values that change a picture beside the modules."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import safetensors.torch
import torch

from tests.refusal import refusal
from turbo_webnn.models.component import Size
from turbo_webnn.models.source import EMBEDDED, open_source
from turbo_webnn.runtime.draw.sampler import Sampling
from turbo_webnn.runtime.reference.reference import Reference

Changes = Mapping[str, Mapping[str, Any]]
"""By file, the values that are changed in it; None where the key is left out."""

INDEX, SCHEDULER = "model_index.json", "scheduler/scheduler_config.json"
VAE, UNET = "vae/config.json", "unet/config.json"
PROMPT, SIZE, SEED = "a red circle", Size(1, 32, 32), 11


def changed(folder: Path, model: str, changes: Changes) -> Path:
    checkpoint = Path(shutil.copytree(EMBEDDED[model], folder / "turbo"))
    for name, values in changes.items():
        path = checkpoint / name
        config = json.loads(path.read_text()) | values
        path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
    return checkpoint


def drawn(checkpoint: Path, steps: int) -> np.ndarray:
    reference = Reference(open_source(str(checkpoint)), SIZE)
    ids = reference.token_ids(PROMPT)
    conditions = reference.conditions([reference.encode_text(encoder, ids[encoder]) for encoder in ids])
    sample = reference.decode(reference.sample(conditions, Sampling(steps, SEED)))
    return np.clip(sample / 2 + 0.5, 0, 1).transpose(0, 2, 3, 1)


def expected(checkpoint: Path, steps: int) -> np.ndarray:
    pipeline = diffusers.DiffusionPipeline.from_pretrained(checkpoint, local_files_only=True, low_cpu_mem_usage=False)
    pipeline.set_progress_bar_config(disable=True)
    pictures: np.ndarray = pipeline(
        PROMPT,
        num_inference_steps=steps,
        guidance_scale=0.0,
        height=SIZE.height,
        width=SIZE.width,
        generator=torch.Generator().manual_seed(SEED),
        output_type="np",
    ).images
    return pictures


STATISTICS = {"latents_mean": [0.5, -0.2, 0.1, 0.3], "latents_std": [1.2, 0.8, 1.5, 0.9]}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("model", "changes"),
    [
        ("tiny", {SCHEDULER: {"timestep_spacing": "leading", "steps_offset": 0}}),
        ("tiny", {SCHEDULER: {"timestep_spacing": "leading", "steps_offset": None}}),
        ("tiny", {SCHEDULER: {"use_karras_sigmas": True, "final_sigmas_type": "sigma_min"}}),
        ("tiny", {SCHEDULER: {"rescale_betas_zero_snr": True}}),
        (
            "tiny",
            {
                INDEX: {"scheduler": ["diffusers", "EulerAncestralDiscreteScheduler"]},
                SCHEDULER: {"_class_name": "EulerAncestralDiscreteScheduler"},
            },
        ),
        (
            "tiny",
            {
                VAE: STATISTICS | {"shift_factor": 0.5, "scaling_factor": 0.3},
                UNET: {"center_input_sample": True, "freq_shift": 1, "flip_sin_to_cos": False},
                "text_encoder/config.json": {"eos_token_id": 2},
            },
        ),
        (
            "tiny-xl",
            {
                SCHEDULER: {"timestep_spacing": "leading", "steps_offset": 0},
                VAE: STATISTICS | {"shift_factor": 0.5, "scaling_factor": 0.3},
                "text_encoder_2/config.json": {"eos_token_id": 2},
            },
        ),
        (
            "tiny-xl",
            {
                INDEX: {"force_zeros_for_empty_prompt": False},
                VAE: {"latents_mean": STATISTICS["latents_mean"]},
                "text_encoder_2/config.json": {"eos_token_id": 5},
            },
        ),
    ],
    ids=str,
)
def test_a_config_means_what_it_means_to_diffusers(tmp_path: Path, model: str, changes: Changes) -> None:
    checkpoint = changed(tmp_path, model, changes)
    np.testing.assert_allclose(drawn(checkpoint, 2), expected(checkpoint, 2), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("model", "changes", "said"),
    [
        ("tiny-xl", {"text_encoder_2/config.json": {"eos_token_id": [2]}}, "text_encoder_2"),
        ("tiny", {SCHEDULER: {"use_karras_sigmas": True, "sigma_max": 100.0}}, "sample with the scheduler of turbo"),
        ("tiny", {SCHEDULER: {"timestep_spacing": "middle"}}, "sample with the scheduler of turbo"),
        ("tiny", {INDEX: {"scheduler": ["diffusers", "LCMScheduler"]}}, "model_index.json names LCMScheduler"),
        ("tiny", {SCHEDULER: {"_class_name": "UnheardScheduler"}}, "no scheduler 'UnheardScheduler'"),
        ("tiny", {"text_encoder/config.json": {"text_config": {"num_attention_heads": 1}}}, "has text_config = {'num_"),
        ("tiny", {UNET: {"quantization_config": {"quant_method": "bitsandbytes"}}}, "has quantization_config"),
        ("tiny", {VAE: {"quantization_config": {"quant_method": "torchao"}}}, "has quantization_config"),
    ],
    ids=str,
)
def test_a_checkpoint_that_diffusers_cannot_draw_is_one_line(
    tmp_path: Path, model: str, changes: Changes, said: str
) -> None:
    assert said in refusal(drawn, changed(tmp_path, model, changes), 4)


OLDER = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def older(tensors: Mapping[str, torch.Tensor], *, convolutions: bool) -> dict[str, torch.Tensor]:
    """A VAE's tensors as SD 1.5, SD 2.x and sd-vae-ft-* name them; with convolutions, as older files shape them."""
    renamed = {}
    for name, tensor in tensors.items():
        new = next((new for new in OLDER if ".attentions." in name and f".{new}." in name), None)
        weight = new is not None and convolutions and tensor.ndim == 2
        renamed[name.replace(f".{new}.", f".{OLDER[new]}.") if new else name] = (
            tensor[:, :, None, None].contiguous() if weight else tensor
        )
    return renamed


@pytest.mark.parametrize("convolutions", [False, True])
def test_a_vaes_older_attention_decodes_the_same(tmp_path: Path, convolutions: bool) -> None:
    checkpoint = changed(tmp_path, "tiny", {})
    weights = checkpoint / "vae/diffusion_pytorch_model.safetensors"
    named = older(safetensors.torch.load_file(weights), convolutions=convolutions)
    assert any(name.endswith(".query.weight") and tensor.ndim == 2 + 2 * convolutions for name, tensor in named.items())
    safetensors.torch.save_file(named, weights, metadata={"format": "pt"})
    latents = np.random.default_rng(0).normal(size=(1, 4, 4, 4)).astype(np.float32)
    older_one, newer = (Reference(open_source(str(source)), SIZE).decode(latents) for source in (checkpoint, "tiny"))
    np.testing.assert_allclose(older_one, newer, rtol=0, atol=1e-6)


def test_a_parameter_under_two_names_is_told(tmp_path: Path) -> None:
    checkpoint = changed(tmp_path, "tiny", {})
    weights = checkpoint / "vae/diffusion_pytorch_model.safetensors"
    tensors = safetensors.torch.load_file(weights)
    both = tensors | {
        name: 2 * tensor for name, tensor in older(tensors, convolutions=False).items() if name not in tensors
    }
    safetensors.torch.save_file(both, weights, metadata={"format": "pt"})
    reference = Reference(open_source(str(checkpoint)), SIZE)
    said = refusal(reference.decode, np.zeros((1, 4, 4, 4), np.float32))
    assert "attentions.0.to_k.bias and " in said
    assert "which the config of vae_decoder has no place for" in said
