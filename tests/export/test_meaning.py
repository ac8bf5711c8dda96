"""Checkpoints that say more than their sizes: what a config or a name means is honoured as diffusers honours it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from tests.pictures import psnr
from tests.refusal import refusal
from turbo_webnn import Pipeline, export_bundle
from turbo_webnn.models.checkpoint import StoredTensor
from turbo_webnn.models.component import Component
from turbo_webnn.models.families.stable_diffusion import TEXT_ENCODER, VAE_DECODER
from turbo_webnn.models.modules import build, matched
from turbo_webnn.models.precision import Precision
from turbo_webnn.models.source import EMBEDDED, Source, open_source
from turbo_webnn.runtime.draw.stages import Stages

VAE = "vae/diffusion_pytorch_model.safetensors"
UNET = "unet/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EMBEDDED["tiny"], tmp_path / "checkpoint"))


def configure(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def rewrite(path: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    safetensors.torch.save_file(change(safetensors.torch.load_file(path)), path, metadata={"format": "pt"})


OLDER = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def older(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A VAE's tensors under the names that SD 1.5, SD 2.x and sd-vae-ft-* have."""
    named = {}
    for name, tensor in tensors.items():
        for new, old in OLDER.items():
            if ".attentions." in name:
                name = name.replace(f".{new}.", f".{old}.")
        named[name] = tensor
    return named


def weights(source: Source, component: Component) -> dict[str, tuple[Path, int]]:
    """Where each parameter of `component` is read from: a file and an offset."""
    with torch.device("meta"):
        module = build(component, source.config(component))
    found = matched(component, module, source.checkpoint(component)).tensors
    return {name: (stored.path, stored.offset) for name, stored in found.items() if isinstance(stored, StoredTensor)}


def test_a_vaes_older_names_are_served(checkpoint: Path, tmp_path: Path) -> None:
    rewrite(checkpoint / VAE, older)
    names = set(safetensors.torch.load_file(checkpoint / VAE))
    assert any(name.endswith(".query.weight") for name in names)
    only: dict[str, Any] = {"components": ["vae_decoder"], "precision": "fp32"}
    bundles = [
        export_bundle(checkpoint, tmp_path / "older", **only),
        export_bundle("tiny", tmp_path / "part", parts={"vae": str(checkpoint / "vae")}, **only),
        export_bundle("tiny", tmp_path / "newer", **only),
    ]
    graphs = {tuple(file.sha256 for file in bundle.chain("vae_decoder").files) for bundle in bundles}
    assert len(graphs) == 1


@pytest.mark.parametrize("prefix", ["", "text_model."])
def test_a_text_encoders_prefixes_are_served(checkpoint: Path, prefix: str) -> None:
    bare = {name.removeprefix("text_model."): name for name in safetensors.torch.load_file(checkpoint / TEXT)}
    rewrite(checkpoint / TEXT, lambda tensors: {prefix + name: tensors[old] for name, old in bare.items()})
    assert len(weights(open_source(str(checkpoint)), TEXT_ENCODER)) == len(bare)


@pytest.mark.parametrize(
    "name", ["text_model.embeddings.position_ids", "embeddings.position_ids", "norm.num_batches_tracked"]
)
def test_buffers_without_a_meaning_are_passed_by(checkpoint: Path, name: str) -> None:
    before = weights(open_source("tiny"), TEXT_ENCODER)
    rewrite(checkpoint / TEXT, lambda tensors: {**tensors, name: torch.arange(77)})
    assert weights(open_source(str(checkpoint)), TEXT_ENCODER).keys() == before.keys()


@pytest.mark.parametrize("verb", ["export", "verify"])
def test_layers_that_a_config_leaves_out_are_told(checkpoint: Path, tmp_path: Path, verb: str, tiny_fp32: Path) -> None:
    configure(checkpoint / "text_encoder/config.json", num_hidden_layers=1)
    if verb == "export":
        words = ["export", str(checkpoint), "-o", str(tmp_path / "out"), "--component", "text_encoder"]
    else:
        words = ["verify", str(tiny_fp32), "--reference", str(checkpoint), "--steps", "1"]
    command = [sys.executable, "-m", "turbo_webnn.scripts.cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "text_model.encoder.layers.1." in done.stderr
    assert "which the config of text_encoder has no place for; give the config that the weights" in done.stderr


@pytest.mark.parametrize(
    ("file", "component", "name"),
    [(VAE, VAE_DECODER, "loss.logvar"), (TEXT, TEXT_ENCODER, "text_projection.weight"), (VAE, VAE_DECODER, "ema.x")],
)
def test_tensors_that_nothing_reads_are_told(checkpoint: Path, file: str, component: Component, name: str) -> None:
    rewrite(checkpoint / file, lambda tensors: {**tensors, name: torch.zeros(2), f"{name}.2": torch.zeros(2)})
    said = refusal(weights, open_source(str(checkpoint)), component)
    assert f"{file} holds {name} and 1 more, which the config of {component.name} has no place for" in said


def picture(pipeline: Any, **words: Any) -> np.ndarray[Any, Any]:
    """What diffusers draws without guidance from the noise of seed 7."""
    draw = torch.Generator().manual_seed(7)
    return np.asarray(pipeline("a red circle", guidance_scale=0.0, generator=draw, **words).images[0])


LOADED = {"torch_dtype": torch.float32, "low_cpu_mem_usage": False}
SIZED = {"height": 128, "width": 128}


def test_the_statistics_of_latents_are_honoured(tmp_path: Path) -> None:
    checkpoint = Path(shutil.copytree(EMBEDDED["tiny-xl"], tmp_path / "checkpoint"))
    configure(
        checkpoint / "vae/config.json",
        latents_mean=[-1.6574, 1.886, -1.383, 2.5155],
        latents_std=[8.4927, 5.9022, 6.5498, 5.2299],
        scaling_factor=0.5,
    )
    bundle = export_bundle(checkpoint, tmp_path / "bundle", precision="fp32", sample_posterior=True)
    ours = Pipeline.open(bundle.folder)
    theirs = diffusers.StableDiffusionXLPipeline.from_pretrained(checkpoint, add_watermarker=False, **LOADED)
    start = picture(theirs, num_inference_steps=1, **SIZED)
    assert psnr(np.asarray(ours.draw("a red circle", seed=7)), start) > 50
    further = diffusers.StableDiffusionXLImg2ImgPipeline.from_pipe(theirs, add_watermarker=False)
    image = Image.fromarray(start)
    request: dict[str, Any] = {"seed": 7, "steps": 2, "image": image, "strength": 0.5}
    expected = picture(further, image=image, strength=0.5, num_inference_steps=2)
    assert psnr(np.asarray(ours.draw("a red circle", **request)), expected) > 50
    further.vae.encode = _mean_of(further.vae)
    expected = picture(further, image=image, strength=0.5, num_inference_steps=2)
    drawn = ours.draw("a red circle", sample_posterior=False, **request)
    assert psnr(np.asarray(drawn), expected) > 50


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("std", [None, [8.4927, 0.5, 6.5498, 5.2299]])
def test_the_variance_is_limited_before_the_statistics_apply(
    tmp_path: Path, std: list[float] | None, precision: Precision
) -> None:
    checkpoint = Path(shutil.copytree(EMBEDDED["tiny-xl"], tmp_path / "checkpoint"))
    configure(checkpoint / "vae/config.json", latents_mean=None if std is None else [0.0] * 4, latents_std=std)
    limits = torch.tensor([35.0, 20.0, -40.0, -10.0])  # above, near, below and inside the limits of -30 and 20

    def shifted(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        bias = tensors["quant_conv.bias"].clone()
        bias[4:] += limits.to(bias.dtype)
        return {**tensors, "quant_conv.bias": bias}

    rewrite(checkpoint / VAE, shifted)
    words: dict[str, Any] = {"precision": precision, "components": ["vae_encoder"], "sample_posterior": True}
    bundle = export_bundle(checkpoint, tmp_path / "bundle", **words)
    pixels = np.random.default_rng(1).uniform(-1, 1, (1, 3, 128, 128)).astype(np.float32)
    moments = Stages(bundle, "cpu").run("vae_encoder", {"sample": pixels})["latent_parameters"]
    vae = diffusers.AutoencoderKL.from_pretrained(checkpoint / "vae", **LOADED)
    with torch.inference_mode():
        posterior = vae.encode(torch.from_numpy(pixels)).latent_dist
    assert (posterior.logvar[:, 0].max(), posterior.logvar[:, 2].min()) == (20, -30)  # both limits are reached
    scale = torch.ones(1, 4, 1, 1) if std is None else torch.tensor(std).view(1, 4, 1, 1)
    tolerance = {"fp32": 1e-4, "fp16": 2e-2}[precision]
    np.testing.assert_allclose(np.exp(moments[:, 4:] / 2), posterior.std / scale, rtol=tolerance)
    np.testing.assert_allclose(moments[:, :4], posterior.mean / scale, atol=tolerance)


def _mean_of(vae: Any) -> Callable[[torch.Tensor], Any]:
    encode = vae.encode

    def mean(pixels: torch.Tensor) -> Any:
        return _Latents(encode(pixels).latent_dist.mode())

    return mean


class _Latents:
    """What `retrieve_latents` of diffusers' pipelines takes as latents that need no sampling."""

    def __init__(self, latents: torch.Tensor) -> None:
        self.latents = latents


def test_a_distilled_unet_is_told_its_guidance(checkpoint: Path, tmp_path: Path) -> None:
    configure(checkpoint / "unet/config.json", time_cond_proj_dim=32)

    def distilled(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        width = tensors["time_embedding.linear_1.weight"].shape[1]
        random = torch.randn(width, 32, generator=torch.Generator().manual_seed(0))
        return {**tensors, "time_embedding.cond_proj.weight": 0.3 * random.half()}

    rewrite(checkpoint / UNET, distilled)
    bundle = export_bundle(checkpoint, tmp_path / "bundle", precision="fp32")
    theirs = diffusers.StableDiffusionPipeline.from_pretrained(checkpoint, safety_checker=None, **LOADED)
    expected = picture(theirs, num_inference_steps=2, **SIZED)
    drawn = np.asarray(Pipeline.open(bundle.folder).draw("a red circle", seed=7, steps=2))
    assert psnr(drawn, expected) > 50
    untold = diffusers.StableDiffusionPipeline.from_pretrained(EMBEDDED["tiny"], safety_checker=None, **LOADED)
    assert psnr(picture(untold, num_inference_steps=2, **SIZED), expected) < 40  # it makes a difference
