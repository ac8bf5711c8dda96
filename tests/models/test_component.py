from __future__ import annotations

from typing import Any

import pytest

from tests.refusal import refusal
from turbo_webnn.models.component import Component, Size, TensorSpec
from turbo_webnn.models.parts.clip_text import ClipText
from turbo_webnn.models.parts.part import ServedValues


class Stub(ClipText):
    """A part with a contract of its own."""

    module = "UNet"
    form = dict

    @property
    def served(self) -> ServedValues:
        return (("channels", (4, 8)), ("kind", (None,)), ("blocks", ((1, 2),)))


PART = Component(
    name="unet",
    part=Stub(),
    subfolder="unet",
    inputs=(TensorSpec("states", "float", ("batch", 77, "width_of_states")),),
    outputs=(TensorSpec("sample", "float", ("batch", 4, "latent_height", "latent_width")),),
)
CONFIG: dict[str, Any] = {"_class_name": "UNet", "channels": 4, "blocks": [1, 2], "width_of_states": 64}


def test_a_size_in_latents() -> None:
    size = Size(2, 512, 768)
    assert (size.latent_height, size.latent_width) == (64, 96)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((0, 64, 64), "batch 0 is not positive; give 1 or more"),
        ((1, 100, 64), "height 100 is not a multiple of 8, the VAE's factor; 96 would be"),
        ((1, 64, 509), "width 509 is not a multiple of 8, the VAE's factor; 512 would be"),
        ((1, 0, 64), "height 0 is not a multiple of 8, the VAE's factor; 8 would be"),
        ((1, 64, -8), "width -8 is not a multiple of 8, the VAE's factor; 8 would be"),
    ],
)
def test_sizes_that_are_refused(arguments: tuple[int, int, int], said: str) -> None:
    assert refusal(Size, *arguments) == said


def test_shapes_come_from_the_size_and_the_config() -> None:
    size = Size(2, 16, 24)
    assert PART.inputs[0].shape(size, CONFIG) == (2, 77, 64)
    assert PART.outputs[0].shape(size, CONFIG) == (2, 4, 2, 3)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        {**CONFIG, "channels": 8, "kind": None, "unheard": 1},
        {key: value for key, value in CONFIG.items() if key != "channels"},  # the first served is the default
        {**CONFIG, "_class_name": None, "architectures": ["UNet"]},
        {**CONFIG, "_class_name": None, "architectures": []},
    ],
)
def test_configs_that_are_served(config: dict[str, Any]) -> None:
    PART.require_served(config, "config.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"_class_name": "VNet"}, "config.json describes VNet; unet must be UNet"),
        ({"_class_name": None, "architectures": ["VNet"]}, "config.json describes VNet; unet must be UNet"),
        ({"channels": 9}, "config.json has channels = 9; unet is served with 4 or 8"),
        ({"kind": "text"}, "config.json has kind = 'text'; unet is served with None"),
        ({"blocks": [2, 1]}, "config.json has blocks = (2, 1); unet is served with (1, 2)"),
        ({"width_of_states": None}, "config.json has width_of_states = None; unet needs a positive number"),
        ({"width_of_states": "64"}, "config.json has width_of_states = '64'; unet needs a positive number"),
        ({"width_of_states": 0}, "config.json has width_of_states = 0; unet needs a positive number"),
    ],
)
def test_configs_that_are_refused(change: dict[str, Any], said: str) -> None:
    assert refusal(PART.require_served, CONFIG | change, "config.json") == said
