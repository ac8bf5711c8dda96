from __future__ import annotations

import pytest
import torch

from models.component import Component
from models.errors import RequestError
from models.family import STABLE_DIFFUSION, TEXT_ENCODER, UNET
from models.json_file import read_json
from models.modules import build
from models.source import Source, open_source
from models.synth import PRESETS

# FACTS of the published checkpoint: what huggingface shows as its size, in millions
MILLIONS = {"text_encoder": 340.4, "unet": 865.9, "vae_decoder": 83.7, "vae_encoder": 83.7}


@pytest.mark.parametrize("component", STABLE_DIFFUSION.components, ids=lambda component: component.name)
def test_published_configs_build_the_published_sizes(component: Component) -> None:
    config = read_json(PRESETS["sd-turbo"] / component.subfolder / "config.json")
    component.require_served(config, "sd-turbo")
    with torch.device("meta"):
        module = build(component, config)
    assert not module.training
    # the published text encoder's config says float16; what is traced is float32
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    numbers = sum(parameter.numel() for parameter in module.parameters())
    assert numbers / 1e6 == pytest.approx(MILLIONS[component.name], abs=0.1)


def test_every_parameter_of_tiny_is_in_its_checkpoint() -> None:
    source: Source = open_source("tiny")
    for component in STABLE_DIFFUSION.components:
        with torch.device("meta"):
            module = build(component, source.config(component))
        checkpoint = source.checkpoint(component)
        for name, parameter in module.named_parameters():
            assert checkpoint.tensor(name, tuple(parameter.shape), component.key_prefixes)


@pytest.mark.parametrize(
    ("component", "wrong"),
    [(UNET, {"down_block_types": ["NoSuchBlock"]}), (TEXT_ENCODER, {"hidden_size": 100, "num_attention_heads": 3})],
)
def test_a_config_that_builds_nothing_is_refused(component: Component, wrong: dict[str, object]) -> None:
    config = {**read_json(PRESETS["sd-turbo"] / component.subfolder / "config.json"), **wrong}
    with (
        pytest.raises(RequestError, match=f"the config of {component.name} makes no {component.module}"),
        torch.device("meta"),
    ):
        build(component, config)
