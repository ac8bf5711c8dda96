from __future__ import annotations

from typing import Any

import pytest

from tests.refusal import refusal
from turbo_webnn.models.component import Size
from turbo_webnn.models.families.family import Family
from turbo_webnn.models.families.registry import family_named
from turbo_webnn.models.families.stable_diffusion import STABLE_DIFFUSION
from turbo_webnn.models.families.stable_diffusion_xl import STABLE_DIFFUSION_XL
from turbo_webnn.models.json_file import read_json
from turbo_webnn.models.synth import PRESETS


def published(family: Family, preset: str) -> dict[str, dict[str, Any]]:
    return {each.name: read_json(PRESETS[preset] / each.subfolder / "config.json") for each in family.components}


def test_the_boundary_of_sdxl_turbo() -> None:
    """The bundle's contract for the published configs."""
    configs, size = published(STABLE_DIFFUSION_XL, "sdxl-turbo"), Size(2, 512, 768)
    shapes = {
        f"{each.name}.{spec.name}": spec.shape(size, configs[each.name])
        for each in STABLE_DIFFUSION_XL.components
        for spec in (*each.inputs, *each.outputs)
    }
    assert shapes == {
        "text_encoder.input_ids": (2, 77),
        "text_encoder.hidden_states": (2, 77, 768),
        "text_encoder_2.input_ids": (2, 77),
        "text_encoder_2.hidden_states": (2, 77, 1280),
        "text_encoder_2.text_embeds": (2, 1280),
        "unet.sample": (2, 4, 64, 96),
        "unet.timestep": (1,),
        "unet.encoder_hidden_states": (2, 77, 2048),
        "unet.text_embeds": (2, 1280),
        "unet.time_ids": (2, 6),
        "unet.out_sample": (2, 4, 64, 96),
        "vae_decoder.latent_sample": (2, 4, 64, 96),
        "vae_decoder.sample": (2, 3, 512, 768),
        "vae_encoder.sample": (2, 3, 512, 768),
        "vae_encoder.latent_sample": (2, 4, 64, 96),
    }


def test_the_way_of_a_picture() -> None:
    assert STABLE_DIFFUSION.text_to_image == ("text_encoder", "unet", "vae_decoder")
    assert STABLE_DIFFUSION_XL.image_to_image == (
        "text_encoder",
        "text_encoder_2",
        "vae_encoder",
        "unet",
        "vae_decoder",
    )
    assert STABLE_DIFFUSION_XL.tokenizers == ("tokenizer", "tokenizer_2")


def test_conditions_that_only_the_size_decides() -> None:
    unet, size = STABLE_DIFFUSION_XL.component("unet"), Size(2, 512, 768)
    assert unet.constants(size) == {"time_ids": (512, 768, 0, 0, 512, 768)}
    assert unet.without_inputs(frozenset({"time_ids"})).constants(size) == {}
    assert STABLE_DIFFUSION.component("unet").constants(size) == {}


@pytest.mark.parametrize(("family", "preset"), [(STABLE_DIFFUSION, "sd-turbo"), (STABLE_DIFFUSION_XL, "sdxl-turbo")])
def test_published_parts_belong_together(family: Family, preset: str) -> None:
    family.require_agreement(published(family, preset))


@pytest.mark.parametrize(
    ("part", "values", "said"),
    [
        ("text_encoder", {"hidden_size": 1024}, "give encoder_hidden_states of width 2304, the UNet reads 2048"),
        ("text_encoder_2", {"projection_dim": 768}, "give text_embeds of width 768, the UNet reads 1280"),
    ],
)
def test_parts_of_two_checkpoints(part: str, values: dict[str, Any], said: str) -> None:
    configs = published(STABLE_DIFFUSION_XL, "sdxl-turbo")
    configs[part] |= values
    told = refusal(STABLE_DIFFUSION_XL.require_agreement, configs)
    assert told == f"the text encoders {said}; give a checkpoint whose parts belong together"
    del configs["unet"]
    STABLE_DIFFUSION_XL.require_agreement(configs)  # nothing to compare with


def test_an_sdxl_unet_under_an_sd_pipeline() -> None:
    config = published(STABLE_DIFFUSION_XL, "sdxl-turbo")["unet"]
    said = refusal(STABLE_DIFFUSION.component("unet").require_served, config, "unet/config.json")
    assert said == "unet/config.json has addition_embed_type = 'text_time'; unet is served with None"
    del config["addition_time_embed_dim"]
    said = refusal(STABLE_DIFFUSION_XL.component("unet").require_served, config, "unet/config.json")
    assert said == "unet/config.json has addition_time_embed_dim = None; unet needs a positive number"


def test_a_family_of_a_later_version() -> None:
    said = refusal(family_named, "stable-diffusion-9", "bundle")
    assert said == "bundle is of the family 'stable-diffusion-9'; known are stable-diffusion, stable-diffusion-xl"
