"""The page of config values names every key of the libraries, and configs that were published are served."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPConfig, CLIPTextConfig, CLIPTokenizer, CLIPVisionConfig

from tests.models.published import (
    CLIP_BIGG,
    CLIP_H,
    CLIP_L,
    DUMP,
    FP16_FIX_VAE,
    FT_MSE_VAE,
    LCM_UNET,
    PLAYGROUND_VAE,
    SD14_CHECKER,
    SD15_INDEX,
    SD15_UNET,
    SD21_UNET,
    SDXL_BASE_SCHEDULER,
    SDXL_UNET,
)
from tests.refusal import refusal
from turbo_webnn.models.clip_tokenizer import open_clip_tokenizer
from turbo_webnn.models.component import Component
from turbo_webnn.models.families.stable_diffusion import SAFETY_CHECKER, TEXT_ENCODER, UNET, VAE_DECODER, VAE_ENCODER
from turbo_webnn.models.families.stable_diffusion_xl import TEXT_ENCODER_2, TEXT_ENCODER_XL, UNET_XL, VAE_DECODER_XL
from turbo_webnn.models.json_file import read_json
from turbo_webnn.models.modules import build
from turbo_webnn.models.pipeline_values import require_served_index
from turbo_webnn.models.schedulers.euler import EULER_SCHEDULERS
from turbo_webnn.models.schedulers.scheduler import scheduler_of
from turbo_webnn.models.source import EMBEDDED
from turbo_webnn.models.synth import PRESETS

PAGE = Path(__file__).parents[2] / "docs" / "config-values.md"


def sections() -> dict[str, str]:
    """The text below each heading of the page."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def keys_of(text: str) -> list[str]:
    """The keys in the first column of the tables."""
    rows = [row for row in text.splitlines() if row.startswith("| `")]
    return [key for row in rows for key in re.findall("`([^`]+)`", row.split(" | ")[0])]


def arguments(*classes: type) -> set[str]:
    """The arguments of the constructors."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = [inspect.signature(each.__init__).parameters.values() for each in classes]  # type: ignore[misc]
    return {argument.name for each in named for argument in each if argument.kind in kinds} - {"self"}


def fields(*classes: Any) -> set[str]:
    """The values that a config class of transformers has."""
    return {field.name for each in classes for field in dataclasses.fields(each) if field.init}


LIBRARIES: Mapping[str, set[str]] = {
    "model_index.json": arguments(
        StableDiffusionPipeline,
        StableDiffusionImg2ImgPipeline,
        StableDiffusionXLPipeline,
        StableDiffusionXLImg2ImgPipeline,
    ),
    "unet/config.json": arguments(UNet2DConditionModel),
    "vae/config.json": arguments(AutoencoderKL),
    "text_encoder/config.json": fields(CLIPTextConfig),
    "scheduler/scheduler_config.json": arguments(EulerDiscreteScheduler, EulerAncestralDiscreteScheduler),
    "safety_checker/config.json": fields(CLIPConfig, CLIPVisionConfig),
    "tokenizer/tokenizer_config.json": arguments(CLIPTokenizer),
}
"""By heading of the page, the keys that the installed libraries read from that file."""


@pytest.mark.parametrize("heading", LIBRARIES)
def test_the_page_names_every_key_of_the_libraries(heading: str) -> None:
    assert LIBRARIES[heading]
    assert LIBRARIES[heading] - set(keys_of(sections()[heading])) == set()


@pytest.mark.parametrize("heading", LIBRARIES)
def test_the_page_names_a_key_once_and_decides(heading: str) -> None:
    text = sections()[heading]
    keys = keys_of(text)
    assert sorted(keys) == sorted(set(keys))
    for row in (row for row in text.splitlines() if row.startswith("| `")):
        assert re.match(r"(honoured|refused|no effect|not read)\b", row.split(" | ")[1]), row


@pytest.mark.parametrize(
    ("component", "config"),
    [
        pytest.param(UNET, SD15_UNET, id="the UNet of SD 1.5"),
        pytest.param(UNET, SD21_UNET, id="the UNet of SD 2.1"),
        pytest.param(UNET, SD21_UNET | {"sample_size": 64, "upcast_attention": False}, id="the UNet of SD 2.1 base"),
        pytest.param(UNET, LCM_UNET, id="the UNet of LCM Dreamshaper"),
        pytest.param(UNET_XL, SDXL_UNET, id="the UNet of SDXL base, SDXL-Lightning and Hyper-SD"),
        pytest.param(VAE_DECODER, FT_MSE_VAE, id="sd-vae-ft-mse"),
        pytest.param(VAE_ENCODER, FT_MSE_VAE, id="sd-vae-ft-mse's encoder"),
        pytest.param(VAE_DECODER_XL, FP16_FIX_VAE, id="sdxl-vae-fp16-fix"),
        pytest.param(VAE_DECODER_XL, PLAYGROUND_VAE, id="the VAE of Playground 2.5"),
        pytest.param(TEXT_ENCODER, CLIP_L, id="the text encoder of SD 1.5"),
        pytest.param(TEXT_ENCODER, CLIP_L | DUMP, id="a text encoder with all keys of transformers 4"),
        pytest.param(TEXT_ENCODER, CLIP_H, id="the text encoder of SD 2.1"),
        pytest.param(TEXT_ENCODER_XL, CLIP_L, id="the first text encoder of SDXL"),
        pytest.param(TEXT_ENCODER_2, CLIP_BIGG, id="the second text encoder of SDXL"),
        pytest.param(SAFETY_CHECKER, SD14_CHECKER, id="the safety checker of SD 1.4"),
    ],
)
def test_a_published_config_is_served_and_makes_its_module(component: Component, config: Mapping[str, Any]) -> None:
    component.require_served(config, "config.json")
    with torch.device("meta"):
        module = build(component, config)
    assert type(module).__name__ == component.module


@pytest.mark.parametrize(
    "index",
    [
        SD15_INDEX,
        SD15_INDEX | {"requires_safety_checker": False, "image_encoder": [None, None]},
        read_json(PRESETS["sdxl-turbo"] / "model_index.json") | {"force_zeros_for_empty_prompt": False},
        SD15_INDEX | {"add_watermarker": None, "requires_aesthetics_score": False},
    ],
)
def test_a_published_index_is_served(index: Mapping[str, Any]) -> None:
    served = {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL", "text_encoder": "CLIPTextModel"}
    require_served_index(index, served, "model_index.json")


@pytest.mark.parametrize("preset", ["sd-turbo", "sdxl-turbo"])
def test_the_schedulers_of_turbo_models_are_served(preset: str) -> None:
    scheduler_of(read_json(PRESETS[preset] / "scheduler/scheduler_config.json"), EULER_SCHEDULERS)


def test_the_scheduler_of_sdxl_base_is_served() -> None:
    scheduler_of(SDXL_BASE_SCHEDULER, EULER_SCHEDULERS)


@pytest.mark.parametrize("name", ["PNDMScheduler", "DDIMScheduler", "LCMScheduler", "EDMDPMSolverMultistepScheduler"])
def test_a_published_scheduler_of_another_class_is_refused_by_its_name(name: str) -> None:
    said = refusal(scheduler_of, SDXL_BASE_SCHEDULER | {"_class_name": name}, EULER_SCHEDULERS)
    assert said.startswith(f"the scheduler is a {name}; served are ")


def test_defaults_that_hide_a_schedulers_values_are_refused() -> None:
    hidden = SDXL_BASE_SCHEDULER | {"_use_default_values": ["timestep_spacing"]}
    said = refusal(scheduler_of, hidden, EULER_SCHEDULERS)
    assert said == "the scheduler has _use_default_values = ['timestep_spacing']; served is null or []"


@pytest.mark.parametrize(
    "values",
    [
        {"do_lower_case": False},
        {"add_prefix_space": True},
        {"errors": "strict"},
        {"clean_up_tokenization_spaces": False},
    ],
)
def test_a_value_of_the_tokenizer_without_effect(tmp_path: Path, values: dict[str, Any]) -> None:
    folder = Path(shutil.copytree(EMBEDDED["tiny"] / "tokenizer", tmp_path / "tokenizer"))
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(read_json(path) | values))
    text = "A Red  circle's \u00e9dge ( x ) 12"
    embedded, changed = (open_clip_tokenizer(each)(text).input_ids for each in (EMBEDDED["tiny"] / "tokenizer", folder))
    assert changed == embedded
