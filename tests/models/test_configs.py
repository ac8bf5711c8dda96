"""Configs of module classes: what every published one keeps, and what none has."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.refusal import refusal
from turbo_webnn.models.families.stable_diffusion import SAFETY_CHECKER, TEXT_ENCODER, UNET, VAE_DECODER
from turbo_webnn.models.families.stable_diffusion_xl import TEXT_ENCODER_2, UNET_XL
from turbo_webnn.models.json_file import read_json
from turbo_webnn.models.source import EMBEDDED
from turbo_webnn.models.synth import PRESETS

XL = {"addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816}
CLIP = {"projection_dim": 64, "hidden_size": 64, "num_attention_heads": 4}


@pytest.mark.parametrize("pipeline", [*EMBEDDED.values(), PRESETS["sd-turbo"], PRESETS["sdxl-turbo"]], ids=str)
def test_published_configs_pass(pipeline: Path) -> None:
    xl = "xl" in pipeline.name
    for component in (TEXT_ENCODER, UNET_XL if xl else UNET, VAE_DECODER, *([TEXT_ENCODER_2] if xl else [])):
        path = pipeline / component.subfolder / "config.json"
        component.require_served(read_json(path), str(path))
    SAFETY_CHECKER.require_served(read_json(PRESETS["safety-checker"] / "config.json"), "it")


@pytest.mark.parametrize(
    ("key", "value", "wrong"),
    [
        ("num_hidden_layers", 0, "Expected int >= 1 - at num_hidden_layers"),
        ("num_hidden_layers", 10**6, "Expected int <= 128 - at num_hidden_layers"),
        ("num_hidden_layers", "12", "Expected int, got str - at num_hidden_layers"),
        ("num_hidden_layers", None, "Expected int, got null"),
        ("num_hidden_layers", True, "Expected int, got bool"),
        ("hidden_size", 10**9, "Expected int <= 32768"),
        ("hidden_size", -64, "Expected int >= 1"),
        ("vocab_size", 10**12, "Expected int <= 1000000"),
        ("vocab_size", [49408], "Expected int, got array"),
        ("layer_norm_eps", 0, "Expected float > 0.0"),
        ("num_attention_heads", 3, "3 attention heads do not divide a width of 64"),
        ("intermediate_size", 32768 * 10, "Expected int <= 32768"),
        ("hidden_act", ["gelu"], "Expected str, got array"),
        ("torch_dtype", "int4", "Invalid enum value 'int4' - at torch_dtype"),
        ("dtype", {}, "got object"),
        ("eos_token_id", None, "Expected int, got null"),
        ("eos_token_id", [2], "Expected int, got array"),
        ("eos_token_id", -1, "Expected int >= 0"),
        ("text_config", {"hidden_size": 64}, "served with None"),
        ("quantization_config", {"quant_method": "gptq"}, "served with None"),
        ("return_dict", False, "has return_dict = False; text_encoder_2 is served with True"),
        ("_use_default_values", ["layer_norm_eps"], "has _use_default_values = ('layer_norm_eps',)"),
    ],
)
def test_a_text_encoder_that_nobody_has(key: str, value: object, wrong: str) -> None:
    assert wrong in refusal(TEXT_ENCODER_2.require_served, {**CLIP, key: value}, "config.json")


@pytest.mark.parametrize(
    ("key", "value", "wrong"),
    [
        ("block_out_channels", [], "Expected array of length >= 1"),
        ("block_out_channels", [320] * 9, "Expected array of length <= 8"),
        ("block_out_channels", [320, -640], "Expected int >= 1 - at block_out_channels[1]"),
        ("block_out_channels", 320, "Expected array, got int"),
        ("block_out_channels", [320, 641], "32 groups do not divide 641 channels"),
        ("down_block_types", ["DownBlock2D"], "there are 1 types of blocks for 4 numbers of channels"),
        ("down_block_types", "DownBlock2D", "Expected array | null, got str"),
        ("layers_per_block", 129, "Expected int <= 128"),
        ("layers_per_block", [2, "2"], "Expected int, got str"),
        ("transformer_layers_per_block", [[1, 2], [0]], "Expected int >= 1"),
        ("attention_head_dim", 1.5, "got float"),
        ("cross_attention_dim", {}, "got object"),
        ("sample_size", [64], "Expected array of length >= 2"),
        ("sample_size", "64", "got str"),
        ("sample_size", 10**6, "Expected int <= 4096"),
        ("norm_eps", -1e-5, "Expected float > 0.0"),
        ("time_cond_proj_dim", 0, "Expected int >= 4"),
        ("time_cond_proj_dim", 3, "Expected int >= 4"),
        ("act_fn", None, "Expected str, got null"),
        ("timestep_post_act", 1, "Expected str | null, got int"),
        ("use_linear_projection", "false", "Expected bool | null, got str"),
        ("conv_in_kernel", 0, "Expected int >= 1"),
        ("conv_in_kernel", 4, "conv_in_kernel is 4, an even number, which changes the size of latents"),
        ("conv_out_kernel", 2, "conv_out_kernel is 2, an even number"),
        ("downsample_padding", 2, "Invalid enum value 2 - at downsample_padding"),
        ("only_cross_attention", "yes", "got str"),
        ("time_embedding_dim", 10**9, "Expected int <= 32768"),
        ("reverse_transformer_layers_per_block", [10**6] * 4, "Expected int <= 128"),
        ("encoder_hid_dim", 1024, "has encoder_hid_dim = 1024; unet is served with None"),
        ("num_attention_heads", 8, "has num_attention_heads = 8; unet is served with None"),
        ("dual_cross_attention", True, "has dual_cross_attention = True; unet is served with False or None"),
        ("class_embeddings_concat", True, "has class_embeddings_concat = True"),
        ("_use_default_values", ["freq_shift"], "has _use_default_values = ('freq_shift',)"),
        ("mid_block_scale_factor", 0, "Expected float > 0.0"),
        ("class_embed_type", ["timestep"], "has class_embed_type = ('timestep',); unet is served with None"),
        ("time_embedding_type", {"a": 1}, "has time_embedding_type"),
    ],
)
def test_a_unet_that_nobody_has(key: str, value: object, wrong: str) -> None:
    config: dict[str, Any] = {"cross_attention_dim": 1024, key: value}
    assert wrong in refusal(UNET.require_served, config, "config.json")


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"image_size": 336}, "it reads 3 channels of 336 pixels along each side, served are 3 of 224"),
        ({"num_channels": 1}, "it reads 1 channels of 224 pixels"),
        ({"num_hidden_layers": 10**6}, "Expected int <= 128"),
    ],
)
@pytest.mark.parametrize("key", ["vision_config", "vision_config_dict"])
def test_a_safety_checker_that_nobody_has(key: str, values: dict[str, Any], wrong: str) -> None:
    assert wrong in refusal(SAFETY_CHECKER.require_served, {key: values}, "config.json")


def test_a_unet_of_absurd_size_is_refused_at_once() -> None:
    widest = {"block_out_channels": [32768] * 8, "layers_per_block": 128, "cross_attention_dim": 1024}
    began = time.monotonic()
    said = refusal(UNET.require_served, widest, "config.json")
    assert "billion weights, which no such model has" in said
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("size", [64, [64, 96], None])
def test_a_unets_sample_size_is_a_number_a_pair_or_none(size: object) -> None:
    UNET.require_served({"cross_attention_dim": 1024, "sample_size": size}, "config.json")


@pytest.mark.parametrize(
    ("key", "value", "wrong"),
    [
        ("scaling_factor", 0, "Expected float > 0.0"),
        ("scaling_factor", -0.18, "Expected float > 0.0"),
        ("scaling_factor", "0.18", "Expected float, got str"),
        ("scaling_factor", None, "Expected float, got null"),
        ("latents_mean", [1.0], "latents_mean has 1 numbers for 4 channels"),
        ("latents_std", [1.0, 1.0, 0.0, 1.0], "Expected float > 0.0"),
        ("layers_per_block", [1], "Expected int, got array"),
        ("down_block_types", [1], "Expected str, got int - at down_block_types[0]"),
        ("up_block_types", ["UpDecoderBlock2D"] * 2, "there are 2 types of blocks for 1 numbers of channels"),
        ("act_fn", ["silu"], "Expected str, got array"),
        ("use_quant_conv", 1, "Expected bool | null, got int"),
        ("block_out_channels", [64] * 3, "3 numbers of channels give 4 pixels for each latent, served are 8"),
    ],
)
def test_a_vae_that_nobody_has(key: str, value: object, wrong: str) -> None:
    assert wrong in refusal(VAE_DECODER.require_served, {key: value}, "config.json")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"scaling_factor": NaN}', "has scaling_factor = nan; give a finite number"),
        ('{"a": {"b": [1, -Infinity]}}', "has a.b[1] = -inf; give a finite number"),
        ('{"scaling_factor": 1e999}', "has scaling_factor = inf; give a finite number"),
        ('{"a": ' + "9" * 5000 + "}", "out of range"),
        ('{"a": ' + "[" * 100_000 + "}", "is not readable JSON (maximum recursion depth exceeded"),
        ('{"a": "\\ud800"}', "has text with half of a surrogate pair; write it as UTF-8"),
        ('{"a": {"b": 1, "c": 2, "b": 3}}', "is not readable JSON (an object has the key 'b' twice)"),
        ('\ufeff{"a": 1}', "is not readable JSON (JSON is malformed: invalid character (byte 0))"),
        ('{"' + "k" * 5000 + '": 1, "' + "k" * 5000 + '": 1}', "is not readable JSON (an object has the key 'kkk"),
        ('["a"]', "is not of the right form (Expected object, got array"),
        ("", "is not readable JSON (Input data was truncated"),
        ("{'a': 1}", "is not readable JSON ("),
    ],
)
def test_json_that_is_none(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    said = refusal(read_json, path)
    assert wrong in said
    assert said.startswith(str(path))
    assert len(said) < 300 + len(str(path))


def test_json_that_is_no_text_or_no_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    assert refusal(read_json, path) == f"{path} is missing; give a complete folder"
    path.write_bytes(b'{"a": "\xff"}')
    assert "is not readable JSON ('utf-8' codec can't decode" in refusal(read_json, path)
    path.unlink()
    path.mkdir()
    assert refusal(read_json, path) == f"{path} is no file; give a complete folder"
    with (tmp_path / "long.json").open("wb") as file:
        file.truncate((64 << 20) + 1)
    assert "has more than 67108864 bytes, which no such file has" in refusal(read_json, tmp_path / "long.json")
    (tmp_path / "good.json").write_text(json.dumps({"a": [1, {"b": None}]}))
    assert read_json(tmp_path / "good.json") == {"a": [1, {"b": None}]}
