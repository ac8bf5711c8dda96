from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.refusal import refusal
from turbo_webnn.models.checkpoint import Checkpoint
from turbo_webnn.models.component import Component
from turbo_webnn.models.families.stable_diffusion import STABLE_DIFFUSION
from turbo_webnn.models.families.stable_diffusion_xl import STABLE_DIFFUSION_XL
from turbo_webnn.models.json_file import read_json
from turbo_webnn.models.modules import build, matched
from turbo_webnn.models.source import open_source
from turbo_webnn.models.synth import PRESETS

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


OLDER = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def renamed(checkpoint: Checkpoint, *, convolutions: bool) -> Checkpoint:
    """`checkpoint` of a VAE with the names that SD 1.5 and SD 2.x have, and with their oldest files' shapes."""
    tensors = {}
    for name, stored in checkpoint.tensors.items():
        new = next((new for new in OLDER if ".attentions." in name and f".{new}." in name), None)
        if new is not None:
            shape = (*stored.shape, 1, 1) if convolutions and len(stored.shape) == 2 else stored.shape
            name = name.replace(f".{new}.", f".{OLDER[new]}.")
            stored = replace(stored, name=name, shape=shape)
        tensors[name] = stored
    return Checkpoint(checkpoint.where, tensors)


@pytest.mark.parametrize("half", ["vae_decoder", "vae_encoder"])
@pytest.mark.parametrize("convolutions", [False, True])
def test_a_vaes_older_attention_is_read_as_today(half: str, convolutions: bool) -> None:
    source = open_source("tiny")
    part = source.family.component(half)
    with torch.device("meta"):
        module = build(part, source.config(part))
    older = renamed(source.checkpoint(part), convolutions=convolutions)
    assert sum(".proj_attn." in name for name in older.tensors) == 4  # weight and bias, in both halves
    read = matched(part, module, older).tensors
    for name, parameter in module.named_parameters():
        expected = replace(source.checkpoint(part).tensors[name], name=read[name].name, shape=tuple(parameter.shape))
        assert read[name] == expected  # the same bytes


def test_a_convolution_elsewhere_stays_one() -> None:
    source = open_source("tiny")
    part = source.family.component("unet")
    with torch.device("meta"):
        module = build(part, source.config(part))
    checkpoint = source.checkpoint(part)
    name = next(name for name in checkpoint.tensors if name.endswith(".to_q.weight"))
    stored = checkpoint.tensors[name]
    changed = {**checkpoint.tensors, name: replace(stored, shape=(*stored.shape, 1, 1))}
    read = matched(part, module, Checkpoint(checkpoint.where, changed))
    assert f"tensor {name} has shape" in refusal(read.tensor, stored.shape, name)
