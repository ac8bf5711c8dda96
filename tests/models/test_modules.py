from __future__ import annotations

from typing import Any

import pytest
import torch

from models.component import Component
from models.family import STABLE_DIFFUSION, STABLE_DIFFUSION_XL
from models.json_file import read_json
from models.modules import build
from models.source import open_source
from models.synth import PRESETS
from tests.refusal import refusal

FAMILIES = {"sd-turbo": STABLE_DIFFUSION, "sdxl-turbo": STABLE_DIFFUSION_XL}

MILLIONS = {
    "sd-turbo": {"text_encoder": 340.4, "unet": 865.9, "vae_decoder": 83.7, "vae_encoder": 83.7},
    "sdxl-turbo": {
        "text_encoder": 123.1,
        "text_encoder_2": 694.7,
        "unet": 2567.5,
        "vae_decoder": 83.7,
        "vae_encoder": 83.7,
    },
}
"""Parameters of the published checkpoints."""


@pytest.mark.parametrize(
    ("preset", "component"),
    [(preset, component) for preset, family in FAMILIES.items() for component in family.components],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_published_configs_build_the_published_sizes(preset: str, component: Component) -> None:
    config = read_json(PRESETS[preset] / component.subfolder / "config.json")
    component.require_served(config, preset)
    with torch.device("meta"):
        module = build(component, config)
    assert not module.training
    # the published text encoder's config says float16; what is traced is float32
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    numbers = sum(parameter.numel() for parameter in module.parameters())
    assert numbers / 1e6 == pytest.approx(MILLIONS[preset][component.name], abs=0.1)


@pytest.mark.parametrize("name", ["tiny", "tiny-xl"])
def test_a_module_has_the_checkpoints_tensors(name: str) -> None:
    source = open_source(name)
    for component in source.family.components:
        with torch.device("meta"):
            module = build(component, source.config(component))
        checkpoint = source.checkpoint(component)
        for name, parameter in module.named_parameters():
            assert checkpoint.tensor(tuple(parameter.shape), *component.keys(name))


@pytest.mark.parametrize(
    ("component", "values"),
    [
        ("text_encoder", {"num_attention_heads": 0}),
        ("text_encoder", {"num_attention_heads": 5}),
        ("text_encoder", {"num_hidden_layers": "two"}),
        ("text_encoder", {"vocab_size": -1}),
        ("unet", {"norm_num_groups": 0}),
        ("unet", {"block_out_channels": []}),
        ("unet", {"down_block_types": ["UnheardBlock2D"] * 3}),
        ("vae_decoder", {"block_out_channels": None}),
        ("vae_decoder", {"layers_per_block": "one"}),
    ],
)
def test_a_config_that_makes_no_module(component: str, values: dict[str, Any]) -> None:
    source = open_source("tiny")
    part = source.family.component(component)
    with torch.device("meta"):
        said = refusal(build, part, source.config(part) | values)
    assert said.startswith(f"the config of {component} makes no {part.module}: ")
