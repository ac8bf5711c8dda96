"""Every published form of a checkpoint gives the numbers of the checkpoint that it was made from."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tests.checkpoints import Arrays, copied, packed, weights_in
from tests.refusal import refusal
from turbo_webnn.models.component import Component
from turbo_webnn.models.modules import build, weights_of
from turbo_webnn.models.source import EMBEDDED, Source, open_source

OLDER = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def read(source: Source, component: Component) -> Arrays:
    with torch.device("meta"):
        module = build(component, source.config(component))
    checkpoint = weights_of(source, component, module)
    return {
        name: checkpoint.tensor(tuple(parameter.shape), *component.keys(name)).read()
        for name, parameter in module.named_parameters()
        if component.part.needs(name) or any(key in checkpoint.tensors for key in component.keys(name))
    }


def assert_same(source: Source, embedded: str, *, subfolders: tuple[str, ...] = (), tolerance: float = 0.0) -> None:
    original = open_source(embedded)
    components = [part for part in original.family.components if not subfolders or part.subfolder in subfolders]
    assert components
    for component in components:
        expected, got = read(original, component), read(source, component)
        assert got.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_allclose(got[name], array, rtol=tolerance, atol=0, err_msg=name)


def older_attention(arrays: Arrays, *, convolutions: bool = False) -> Arrays:
    renamed = {}
    for name, array in arrays.items():
        new = next((new for new in OLDER if ".attentions." in name and f".{new}." in name), None)
        if new is not None:
            name = name.replace(f".{new}.", f".{OLDER[new]}.")
            array = array[..., None, None] if convolutions and array.ndim == 2 else array
        renamed[name] = array
    return renamed


def projections(arrays: Arrays) -> Arrays:
    """Linear layers around attention as 1×1 convolutions, and the other way round."""
    changed = dict(arrays)
    for name, array in arrays.items():
        if ".proj_in.weight" in name or ".proj_out.weight" in name:
            changed[name] = array[..., None, None] if array.ndim == 2 else array[:, :, 0, 0]
    return changed


def cast(kind: type) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {name: array.astype(kind) for name, array in arrays.items()}


def mixed(arrays: Arrays) -> Arrays:
    kinds = (np.float16, np.float32, np.float64)
    return {name: array.astype(kinds[row % 3]) for row, (name, array) in enumerate(sorted(arrays.items()))}


def with_text_model(arrays: Arrays) -> Arrays:
    """The names of transformers 4, with its buffer."""
    named = {
        name if name.startswith("text_projection") else f"text_model.{name.removeprefix('text_model.')}": array
        for name, array in arrays.items()
    }
    return {**named, "text_model.embeddings.position_ids": np.arange(77)[None]}


def without_text_model(arrays: Arrays) -> Arrays:
    return {name.removeprefix("text_model."): array for name, array in arrays.items()}


def with_other_half(arrays: Arrays) -> Arrays:
    """A text encoder that was saved with what CLIP compares pictures with."""
    extra = {"logit_scale": np.array(4.6), "visual_projection.weight": np.ones((4, 4)), "vision_model.x": np.ones(2)}
    return {**arrays, **{name: array.astype(np.float16) for name, array in extra.items()}}


FORMS: dict[str, tuple[str, dict[str, Callable[[Arrays], Arrays]], float]] = {
    "older attention of a VAE": ("tiny", {"vae": older_attention}, 0.0),
    "convolutions in a VAE": ("tiny-xl", {"vae": lambda arrays: older_attention(arrays, convolutions=True)}, 0.0),
    "projections of a UNet": ("tiny", {"unet": projections}, 0.0),
    "projections of SDXL's UNet": ("tiny-xl", {"unet": projections}, 0.0),
    "transformers 4": ("tiny", {"text_encoder": with_text_model}, 0.0),
    "transformers 5": ("tiny", {"text_encoder": without_text_model}, 0.0),
    "both encoders": ("tiny-xl", {"text_encoder": with_text_model, "text_encoder_2": with_text_model}, 0.0),
    "a whole CLIP": ("tiny", {"text_encoder": with_other_half}, 0.0),
    "float64": ("tiny", dict.fromkeys(("unet", "vae", "text_encoder"), cast(np.float64)), 0.0),
    "bfloat16": ("tiny", dict.fromkeys(("unet", "vae", "text_encoder"), cast(ml_dtypes.bfloat16)), 2.0**-8),
    "mixed types": ("tiny", dict.fromkeys(("unet", "vae", "text_encoder"), mixed), 0.0),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_in_another_form(form: str, tmp_path: Path) -> None:
    embedded, change, tolerance = FORMS[form]
    folder = copied(EMBEDDED[embedded], tmp_path / "source", change)
    assert_same(open_source(str(folder)), embedded, tolerance=tolerance)


@pytest.mark.parametrize(
    "index",
    ["diffusion_pytorch_model.safetensors.index.fp16.json", "diffusion_pytorch_model.fp16.safetensors.index.json"],
)
def test_shards_under_both_names_of_an_index(index: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(EMBEDDED["tiny"], tmp_path / "source"))
    path = weights_in(folder / "unet")
    arrays = load_file(path)
    path.unlink()
    halves = [dict(list(arrays.items())[::2]), dict(list(arrays.items())[1::2])]
    shards: dict[str, str] = {}
    for number, half in enumerate(halves, 1):
        name = f"diffusion_pytorch_model.fp16-{number:05}-of-00002.safetensors"
        save_file(half, folder / "unet" / name)
        shards |= dict.fromkeys(half, name)
    (folder / "unet" / index).write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    source = open_source(str(folder), variant="fp16")
    assert source.variants == {"text_encoder": None, "vae": None}  # these have main weights only
    assert_same(source, "tiny")


UNREAD = {
    ("tiny", False): ("cond_stage_model.logit_scale", "cond_stage_model.transformer.text_projection.weight"),
    ("tiny", True): (
        "cond_stage_model.model.logit_scale",
        "cond_stage_model.model.attn_mask",
        "cond_stage_model.model.text_projection",
        "cond_stage_model.model.transformer.resblocks.23.mlp.c_fc.weight",  # SD 2.x reads 23 of 24 layers
    ),
    ("tiny-xl", None): (
        "conditioner.embedders.0.transformer.text_model.embeddings.position_ids",
        "conditioner.embedders.0.transformer.text_projection.weight",
        "conditioner.embedders.1.model.logit_scale",
        "denoiser.sigmas",
    ),
}
"""What published single files hold besides, and no pipeline reads."""


@pytest.mark.parametrize(("embedded", "open_clip"), [("tiny", True), ("tiny", False), ("tiny-xl", None)])
def test_a_single_file(embedded: str, open_clip: bool | None, tmp_path: Path) -> None:
    unread = ("model_ema.decay", "betas", "first_stage_model.loss.logvar", *UNREAD[embedded, open_clip])
    extra = {name: np.ones((64, 64), np.float16) for name in unread}
    file = packed(open_source(embedded), tmp_path / "all.safetensors", open_clip=open_clip, extra=extra)
    source = open_source(str(file), config=embedded)
    assert_same(source, embedded)
    assert source.provenance["name"] == "all.safetensors"
    assert source.provenance["config"]["name"] == embedded
    assert source.places == (file, EMBEDDED[embedded])


TRAINING = {"loss.logvar": np.ones(1, np.float16), "model_ema.decay": np.ones(1, np.float16)}


@pytest.mark.parametrize("prefix", ["", "first_stage_model.", "vae."])
def test_a_vae_alone(prefix: str, tmp_path: Path) -> None:
    file = packed(open_source("tiny-xl"), tmp_path / "vae.safetensors", only=["vae"], prefix=prefix, extra=TRAINING)
    source = open_source("tiny-xl", parts={"vae": str(file)})
    assert_same(source, "tiny-xl", subfolders=("vae",))
    assert source.provenance["vae"] == {"name": "vae.safetensors", "revision": None, "variant": None, "license": None}
    assert "give the pipeline as SOURCE and this file by --vae" in refusal(open_source, str(file), config="tiny-xl")


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_a_unet_alone(prefix: str, tmp_path: Path) -> None:
    file = packed(open_source("tiny"), tmp_path / "unet.safetensors", only=["unet"], prefix=prefix)
    assert_same(open_source("tiny", parts={"unet": str(file)}), "tiny", subfolders=("unet",))
    assert "give the pipeline as SOURCE and this file by --unet" in refusal(open_source, str(file), config="tiny")


def test_components_alone_under_the_names_of_diffusers(tmp_path: Path) -> None:
    """As SDXL-Lightning publishes its UNets: a file of diffusers' names, without a config."""
    parts = {}
    for subfolder in ("unet", "vae"):
        parts[subfolder] = str(
            shutil.copy(weights_in(EMBEDDED["tiny"] / subfolder), tmp_path / f"{subfolder}.safetensors")
        )
    assert_same(open_source("tiny", parts=parts), "tiny")


def test_a_pipelines_file_as_the_source_of_one_component(tmp_path: Path) -> None:
    file = packed(open_source("tiny"), tmp_path / "all.safetensors")
    assert_same(open_source("tiny", parts={"unet": str(file), "vae": str(file)}), "tiny")
