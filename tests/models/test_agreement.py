"""Manifests whose parts are each of the right form, and do not fit each other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.refusal import refusal
from turbo_webnn.models.bundle import MANIFEST
from turbo_webnn.models.bundle.manifest import read_manifest
from turbo_webnn.models.json_file import write_json

Edit = Callable[[dict[str, Any]], object]


def reshape(manifest: dict[str, Any], component: str, tensor: str, shape: list[int]) -> None:
    """Give the tensor another shape wherever the component names it."""
    chain = manifest["components"][component]
    for part in (chain, *chain["graphs"]):
        for each in (*part["inputs"], *part["outputs"]):
            if each["name"] == tensor:
                each["shape"] = shape


EDITS: dict[str, tuple[Edit, str]] = {
    "more pictures": (lambda held: held["size"].update(batch=2), "unet has sample of shape [1, 4, 16, 16]"),
    "larger pictures": (lambda held: held["size"].update(height=256, latent_height=32), "unet has sample of shape"),
    "another picture": (
        lambda held: reshape(held, "vae_decoder", "sample", [1, 3, 64, 64]),
        "vae_decoder has sample of shape [1, 3, 64, 64]",
    ),
    "a dimension less": (
        lambda held: reshape(held, "vae_decoder", "latent_sample", [4, 16, 16]),
        "vae_decoder has latent_sample of shape [4, 16, 16]",
    ),
    "longer prompts": (
        lambda held: held["tokenizers"]["tokenizer"].update(length=78),
        "text_encoder has input_ids of shape [1, 77]",
    ),
    "another input": (
        lambda held: held["components"]["unet"].update(names={"sample": "picture"}),
        "unet lacks sample",
    ),
    "one name for two": (
        lambda held: held["components"]["unet"].update(names={"sample": "timestep"}),
        "two inputs of unet have one name",
    ),
    "no output": (lambda held: held["components"]["vae_encoder"].update(outputs=[]), "vae_encoder lacks latent_sample"),
    "moments": (
        lambda held: held["components"]["vae_encoder"].update(adapters={"latent_sample": "first_half"}),
        "vae_encoder has latent_sample of shape [1, 4, 16, 16]",
    ),
    "moments to sample from": (
        lambda held: held["components"]["vae_encoder"].update(adapters={"latent_sample": "sample"}),
        "vae_encoder has latent_sample of shape [1, 4, 16, 16]",
    ),
    "a condition that is none": (lambda held: held["conditions"].update(guidance=[1.0]), "unet takes no guidance"),
    "no conditions": (
        lambda held: held.update(conditions={}),
        "there is no condition time_ids, which unet takes",
    ),
    "a condition of another length": (
        lambda held: held["conditions"].update(time_ids=[128, 128]),
        "the condition time_ids has 2 numbers",
    ),
    "states of another width": (
        lambda held: reshape(held, "unet", "encoder_hidden_states", [1, 77, 113]),
        "the text encoders give encoder_hidden_states of width 112, the UNet reads 113",
    ),
    "embeddings of another width": (
        lambda held: reshape(held, "unet", "text_embeds", [1, 63]),
        "the text encoders give text_embeds of width 64, the UNet reads 63",
    ),
    "another family": (lambda held: held.update(family="stable-diffusion"), "text_encoder lacks last_hidden_state"),
}


@pytest.mark.parametrize(("edit", "wrong"), EDITS.values(), ids=EDITS.keys())
def test_what_does_not_fit_is_refused_where_it_is_read(
    tiny_xl_fp16: Path, tmp_path: Path, edit: Edit, wrong: str
) -> None:
    manifest = json.loads((tiny_xl_fp16 / MANIFEST).read_bytes())
    edit(manifest)
    write_json(tmp_path / MANIFEST, manifest)
    said = refusal(read_manifest, tmp_path)
    assert said.startswith(f"{tmp_path / MANIFEST} does not agree with itself: ")
    assert wrong in said
    assert said.endswith("; export it anew")


def test_text_encoders_may_read_one_prompt_for_all_pictures(tiny_xl_fp16: Path, tmp_path: Path) -> None:
    manifest = json.loads((tiny_xl_fp16 / MANIFEST).read_bytes())
    manifest["size"]["batch"] = 2
    latents, picture = [2, 4, 16, 16], [2, 3, 128, 128]
    for component, tensor, shape in (
        ("unet", "sample", latents),
        ("unet", "out_sample", latents),
        ("unet", "encoder_hidden_states", [2, 77, 112]),
        ("unet", "text_embeds", [2, 64]),
        ("unet", "time_ids", [2, 6]),
        ("vae_decoder", "latent_sample", latents),
        ("vae_decoder", "sample", picture),
    ):
        reshape(manifest, component, tensor, shape)
    write_json(tmp_path / MANIFEST, manifest)
    assert read_manifest(tmp_path).size.batch == 2
