from __future__ import annotations

from typing import Any

import pytest
import torch

from models.modules import build
from models.source import open_source
from tests.refusal import refusal


def test_a_module_has_the_checkpoints_tensors() -> None:
    source = open_source("tiny")
    for component in source.family.components:
        with torch.device("meta"):
            module = build(component, source.config(component))
        assert not module.training
        checkpoint = source.checkpoint(component)
        for name, parameter in module.named_parameters():
            assert checkpoint.tensor(name, tuple(parameter.shape), component.key_prefixes)


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
