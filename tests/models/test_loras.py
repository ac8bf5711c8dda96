"""LoRAs in each naming give the weights that diffusers' own loader and `fuse_lora` give; other files are refused."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from tests import loras
from tests.loras import CONVOLUTIONS, TEXT_MODULES, UNET_MODULES, Naming, lora
from tests.refusal import refusal
from turbo_webnn.models.digests import read_sha256
from turbo_webnn.models.modules import build, weights_of
from turbo_webnn.models.source import EMBEDDED, Source, open_source

ATTENTION = re.compile(r"attn\d\.to_(q|k|v|out\.0)")
TEXT_ATTENTION = re.compile(r"self_attn\.(q|k|v|out)_proj")
ALL_OF_UNET = re.compile(f"{UNET_MODULES.pattern}|{CONVOLUTIONS.pattern}")
SD = {"unet": ALL_OF_UNET, "text_encoder": TEXT_MODULES}
XL = {**SD, "text_encoder_2": TEXT_MODULES}

NAMINGS: dict[str, tuple[str, Naming, dict[str, re.Pattern[str]], float | None]] = {
    "kohya": ("tiny", loras.kohya, SD, 2.0),
    "kohya without alpha": ("tiny", loras.kohya, {"unet": UNET_MODULES}, None),
    "kohya, SDXL": ("tiny-xl", loras.kohya_xl, XL, 3.0),
    "kohya, SDXL, names of diffusers": ("tiny-xl", loras.kohya, {"unet": ALL_OF_UNET}, 2.0),
    "PEFT": ("tiny", loras.peft, SD, None),
    "PEFT, SDXL": ("tiny-xl", loras.peft, XL, None),
    "diffusers": ("tiny", loras.diffusers, {**SD, "unet": UNET_MODULES}, None),
    "diffusers, older": ("tiny", loras.diffusers_older, {"unet": ATTENTION, "text_encoder": TEXT_ATTENTION}, None),
}


def fused_by_diffusers(embedded: str, weights: dict[Path, float], subfolders: list[str]) -> Any:
    """The pipeline with the LoRAs of `weights` fused."""
    pipeline = diffusers.DiffusionPipeline.from_pretrained(
        EMBEDDED[embedded], torch_dtype=torch.float32, low_cpu_mem_usage=False, local_files_only=True
    )
    for row, path in enumerate(weights):
        pipeline.load_lora_weights(str(path), adapter_name=f"lora{row}")
    pipeline.set_adapters([f"lora{row}" for row in range(len(weights))], list(weights.values()))
    pipeline.fuse_lora(components=subfolders)
    pipeline.unload_lora_weights()
    return pipeline


def assert_fused(source: Source, pipeline: Any, subfolders: list[str]) -> None:
    changed = 0
    for component in source.family.components:
        if component.subfolder not in subfolders:
            continue
        with torch.device("meta"):
            module = build(component, source.config(component))
        ours, base = (weights_of(s, component, module).tensors for s in (source, open_source(source.name)))
        theirs = getattr(pipeline, component.subfolder).state_dict()
        for name, _ in module.named_parameters():
            key = component.keys(name)[0]
            np.testing.assert_allclose(ours[key].read(), theirs[name].numpy(), rtol=0, atol=1e-6, err_msg=name)
            changed += not np.array_equal(ours[key].read(), base[key].read())
    assert changed > 10


@pytest.mark.parametrize("form", NAMINGS)
def test_a_naming(form: str, tmp_path: Path) -> None:
    embedded, naming, wanted, alpha = NAMINGS[form]
    path = lora(open_source(embedded), tmp_path / "it.safetensors", naming, wanted, alpha=alpha)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = fused_by_diffusers(embedded, {path: 0.7}, list(wanted))
    assert_fused(open_source(embedded, loras=[f"{path}:0.7"]), pipeline, list(wanted))


@pytest.mark.filterwarnings("ignore")
def test_two_loras_are_summed(tmp_path: Path) -> None:
    source = open_source("tiny")
    paths = {
        lora(source, tmp_path / "a.safetensors", loras.kohya, {"unet": ALL_OF_UNET}, seed=1): 0.5,
        lora(source, tmp_path / "b.safetensors", loras.peft, {"unet": ATTENTION}, seed=2, alpha=None): -1.25,
    }
    opened = open_source("tiny", loras=[f"{path}:{weight}" for path, weight in paths.items()])
    assert_fused(opened, fused_by_diffusers("tiny", paths, ["unet"]), ["unet"])
    assert opened.provenance["loras"] == [
        {"name": path.name, "sha256": read_sha256(path), "weight": weight, "revision": None, "license": None}
        for path, weight in paths.items()
    ]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("use_rslora", [False, True])
def test_the_config_in_a_files_metadata(use_rslora: bool, tmp_path: Path) -> None:
    """diffusers saves PEFT's alpha there, and no alpha beside the matrices."""
    layer = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    config = {
        "unet.r": 4, "unet.lora_alpha": 6, "unet.use_rslora": use_rslora, "unet.alpha_pattern": {layer: 3},
        "unet.target_modules": ["to_q", "to_k", "to_v", "to_out.0"],
    }  # fmt: skip
    wanted = {"unet": ATTENTION}
    path = lora(open_source("tiny"), tmp_path / "it.safetensors", loras.peft, wanted, alpha=None, metadata=config)
    assert_fused(open_source("tiny", loras=[str(path)]), fused_by_diffusers("tiny", {path: 1.0}, ["unet"]), ["unet"])


def test_alphas_that_differ_are_those_of_the_file(tmp_path: Path) -> None:
    """diffusers 0.42 takes the most frequent alpha for attention layers, whatever the file states."""
    path = lora(open_source("tiny"), tmp_path / "it.safetensors", loras.kohya, {"unet": ATTENTION}, alpha=4.0)
    one = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    arrays = load_file(path)
    stem = f"lora_unet_{one.replace('.', '_')}"
    arrays[f"{stem}.alpha"] = np.array(1.0, np.float16)
    save_file(arrays, path)
    source, base = open_source("tiny", loras=[str(path)]), open_source("tiny")
    with torch.device("meta"):
        module = build(source.family.denoiser, source.config(source.family.denoiser))
    ours, before = (
        weights_of(s, source.family.denoiser, module).tensors[f"{one}.weight"].read() for s in (source, base)
    )
    up, down = (arrays[f"{stem}.lora_{side}.weight"].astype(np.float32) for side in ("up", "down"))
    np.testing.assert_allclose(ours, before + 1.0 / loras.RANK * up @ down, rtol=0, atol=1e-6)


@pytest.mark.parametrize("alpha", [np.array(2, np.int64), np.array([2.0], np.float32)])
def test_an_alpha_of_another_type(alpha: np.ndarray, tmp_path: Path) -> None:
    unet, fused = open_source("tiny").family.denoiser, []
    for path in (made(tmp_path, {"*.alpha": alpha}), made(tmp_path, {})):
        source = open_source("tiny", loras=[str(path)])
        with torch.device("meta"):
            module = build(unet, source.config(unet))
        fused.append({name: tensor.read() for name, tensor in weights_of(source, unet, module).tensors.items()})
    assert all(np.array_equal(fused[0][name], fused[1][name]) for name in fused[0])


def made(tmp_path: Path, change: dict[str, np.ndarray | None], naming: Naming = loras.kohya) -> Path:
    """A LoRA of tiny's UNet with some arrays changed, added or (None) removed; `*` is any of its stems."""
    path = lora(open_source("tiny"), tmp_path / "it.safetensors", naming, {"unet": ATTENTION})
    arrays = load_file(path)
    stem = sorted(name.split(".lora_down")[0] for name in arrays if ".lora_down" in name)[0]
    for name, array in change.items():
        if array is None:
            arrays.pop(name.replace("*", stem))
        else:
            arrays[name.replace("*", stem)] = array
    save_file(arrays, path, metadata={"format": "pt"})
    return path


def refused(path: Path | str, embedded: str = "tiny") -> str:
    def fuse() -> None:
        source = open_source(embedded, loras=[str(path)])
        for component in source.family.components:
            with torch.device("meta"):
                module = build(component, source.config(component))
            for tensor in weights_of(source, component, module).tensors.values():
                tensor.read()

    return refusal(fuse)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("*.dora_scale", "a DoRA"),
        ("*.hada_w1_a", "a LoHa"),
        ("*.lokr_w1", "a LoKr"),
        ("*.oft_blocks", "an OFT adapter"),
        ("*.lora_mid.weight", "a LoCon in Tucker form"),
        ("*.diff", "an adapter with whole differences of weights"),
        ("emb_params", "an adapter with embeddings of words"),
    ],
)
def test_another_kind_of_adapter(name: str, kind: str, tmp_path: Path) -> None:
    path = made(tmp_path, {name: np.ones(4, np.float16)})
    assert refused(path) == f"it.safetensors is {kind}; give a LoRA, or a checkpoint that it is merged into"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"*.lora_up.weight": np.ones((32, 3), np.float16)}, "have no common rank; the file is damaged"),
        ({"*.lora_up.weight": np.full((32, 4), np.nan, np.float16)}, "holds NaN or Inf; the file is damaged"),
        ({"*.alpha": np.array(np.inf, np.float16)}, "states an alpha of inf; the file is damaged"),
        ({"*.alpha": np.ones(3, np.float16)}, ".alpha is F16 of shape [3], not one number; the file"),
        ({"*.alpha": np.array(True)}, ".alpha is BOOL of shape [], not one number; the file is damaged"),
        ({"*.lora_down.weight": np.ones((0, 32), np.float16)}, "has shape [0, 32]; the file is damaged"),
        ({"*.lora_down.weight": np.array(1.0, np.float16)}, "has shape []; the file is damaged"),
        ({"*.lora_down.weight": np.ones((4, 9), np.float16)}, "the LoRA was trained for another base"),
        ({"*.lora_up.weight": None}, "give a LoRA for a StableDiffusionPipeline"),
        ({"lora_te_text_model_x": np.ones(3, np.float16)}, "give a LoRA for a StableDiffusionPipeline"),
        ({"lora_unet_nowhere.lora_down.weight": np.ones((4, 9), np.float16),
          "lora_unet_nowhere.lora_up.weight": np.ones((9, 4), np.float16)},
         "changes nowhere, which the UNet lacks; give a LoRA for this pipeline"),
        ({"*.lora_up.weight": np.ones((32, 4), np.int32)}, "is I32; served are F64, F32, F16, BF16"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit(change: dict[str, np.ndarray | None], said: str, tmp_path: Path) -> None:
    assert said in refused(made(tmp_path, change))


def test_a_lora_for_another_family(tmp_path: Path) -> None:
    path = lora(open_source("tiny-xl"), tmp_path / "xl.safetensors", loras.kohya_xl, XL)
    assert "give a LoRA for" in refused(path)
    path = lora(open_source("tiny-xl"), tmp_path / "xl.safetensors", loras.peft, XL, alpha=None)
    assert "xl.safetensors holds text_encoder_2." in refused(path)
    path = lora(open_source("tiny"), tmp_path / "sd.safetensors", loras.kohya, SD)
    assert refused(path, "tiny-xl").startswith("sd.safetensors")


def test_what_is_no_lora(tmp_path: Path) -> None:
    save_file({"a": np.ones(2)}, tmp_path / "a.safetensors")
    assert "is no LoRA (its first tensor is a)" in refused(tmp_path / "a.safetensors")
    for weight in ("", "much", "nan", "inf"):
        path = made(tmp_path, {})
        assert "give a number, as FILE:0.8" in refused(f"{path}:{weight}") or "is no number" in refused(
            f"{path}:{weight}"
        )
    assert "has 2 .safetensors files (a.safetensors, it.safetensors); name one of them" in refused(tmp_path)
    assert "there is no file nowhere.safetensors" in refused("nowhere.safetensors:0.5")


def test_metadata_that_cannot_be_read(tmp_path: Path) -> None:
    path = lora(open_source("tiny"), tmp_path / "it.safetensors", loras.peft, {"unet": ATTENTION}, alpha=None)
    save_file(load_file(path), path, metadata={"lora_adapter_metadata": "{"})
    assert "it.safetensors has metadata that cannot be read; download it anew" in refused(path)
    for config, stated in (
        ({"unet.lora_alpha": "much"}, "'much'"),
        ({"unet.alpha_pattern": ["to_q"]}, "['to_q']"),
        ({"unet.alpha_pattern": {"(": 1}}, "{'(': 1}"),
    ):
        save_file(load_file(path), path, metadata={"lora_adapter_metadata": json.dumps(config)})
        assert f"it.safetensors states the alpha {stated}; give a LoRA with a number" in refused(path)
