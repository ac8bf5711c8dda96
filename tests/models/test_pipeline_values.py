"""Values that diffusers' pipelines read beside their modules."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.pipelines.latent_consistency_models.pipeline_latent_consistency_text2img import (
    LatentConsistencyModelPipeline,
)

from tests.refusal import refusal
from turbo_webnn.models.parts.unet_2d_condition import guidance_embedding
from turbo_webnn.models.pipeline_values import class_in, native_latent_size, scheduler_config_in_use
from turbo_webnn.models.source import EMBEDDED, open_source

SD, XL = {"_class_name": "StableDiffusionPipeline"}, {"_class_name": "StableDiffusionXLPipeline"}
EULER = {"_class_name": "EulerDiscreteScheduler"}


@pytest.mark.parametrize(
    ("model_index", "config", "changed"),
    [
        (SD, EULER, {"steps_offset": 1}),
        (SD, EULER | {"steps_offset": 0}, {"steps_offset": 1}),
        (SD, EULER | {"steps_offset": 900}, {"steps_offset": 1}),
        (SD, EULER | {"steps_offset": "0"}, {}),
        (XL, EULER | {"steps_offset": 0}, {}),
        (XL, EULER, {}),
        (XL | {"scheduler": ["diffusers", "EulerDiscreteScheduler"]}, EULER, {}),
        (XL | {"scheduler": ["diffusers", "EulerDiscreteScheduler"]}, {"_class_name": "PNDMScheduler"}, {}),
        (XL | {"scheduler": [None, None]}, EULER, {}),
        (XL | {"scheduler": "EulerAncestralDiscreteScheduler"}, EULER, {}),
    ],
)
def test_a_schedulers_config_as_the_pipeline_uses_it(
    model_index: dict[str, Any], config: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert scheduler_config_in_use(model_index, config, "it") == config | changed


@pytest.mark.parametrize("named", ["EulerAncestralDiscreteScheduler", "PNDMScheduler", "Unheard\nScheduler"])
def test_a_scheduler_that_the_pipeline_does_not_load(named: str) -> None:
    said = refusal(scheduler_config_in_use, SD | {"scheduler": ["diffusers", named]}, EULER, "it")
    assert said.startswith(f"it is of EulerDiscreteScheduler, and model_index.json names {' '.join(named.split())}; ")


@pytest.mark.parametrize(
    ("model_index", "config", "size"),
    [
        (SD, {"sample_size": 32, "_diffusers_version": "0.8.1"}, (64, 64)),
        (SD, {"sample_size": 96, "_diffusers_version": "0.8.1"}, (96, 96)),
        (SD, {"sample_size": 32, "_diffusers_version": "0.9.0.dev0"}, (32, 32)),
        (SD, {"sample_size": 32, "_diffusers_version": "0.24.0"}, (32, 32)),
        (SD, {"sample_size": 32}, (32, 32)),
        (SD, {"sample_size": 32, "_diffusers_version": None}, (32, 32)),
        (XL, {"sample_size": 32, "_diffusers_version": "0.8.1"}, (32, 32)),
        (SD, {"sample_size": [16, 24], "_diffusers_version": "0.8.1"}, (16, 24)),
        (SD, {"sample_size": None}, None),
        (SD, {}, None),
    ],
)
def test_the_size_where_none_is_named(
    model_index: dict[str, Any], config: dict[str, Any], size: tuple[int, int] | None
) -> None:
    assert native_latent_size(model_index, config) == size


@pytest.mark.parametrize("width", [4, 5, 32, 256, 257])
def test_the_guidance_that_a_distilled_unet_is_told(width: int) -> None:
    pipeline = LatentConsistencyModelPipeline.__new__(LatentConsistencyModelPipeline)
    expected = pipeline.get_guidance_scale_embedding(torch.tensor([0.0 - 1.0]), embedding_dim=width)
    row = guidance_embedding({"time_cond_proj_dim": width})
    torch.testing.assert_close(torch.tensor([row]), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"requires_aesthetics_score": True}, "has requires_aesthetics_score = true: its image-to-image pipeline"),
        ({"add_watermarker": True}, "has add_watermarker = true"),
        ({"vae": ["diffusers", "AutoencoderTiny"]}, "names AutoencoderTiny for vae; served is AutoencoderKL"),
        (
            {"text_encoder": ["transformers", "T5EncoderModel"]},
            "names T5EncoderModel for text_encoder; served is CLIPTextModel",
        ),
        ({"unet": ["unet_file", "MyUNet\n2"]}, "names MyUNet 2 for unet; served is UNet2DConditionModel"),
    ],
)
def test_a_pipeline_that_draws_otherwise(tmp_path: Path, values: dict[str, Any], said: str) -> None:
    folder = Path(shutil.copytree(EMBEDDED["tiny-xl"], tmp_path / "turbo"))
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    assert f"{path} {said}" in refusal(open_source, str(folder))


def test_a_class_of_another_sources_vae_is_not_asked_for(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(EMBEDDED["tiny"], tmp_path / "turbo"))
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"vae": ["diffusers", "AutoencoderTiny"]}))
    assert open_source(str(folder), parts={"vae": "tiny"}).family.name == "stable-diffusion"


@pytest.mark.parametrize("entry", [None, [], [None, None], ["diffusers"], "AutoencoderKL", {"a": 1}, ["a", 5]])
def test_an_entry_that_names_no_class(entry: object) -> None:
    assert class_in({"vae": entry}, "vae") is None
