"""LoRAs of small rank in each of the published namings, made for a pipeline."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

from tests.checkpoints import Arrays
from turbo_webnn.models.modules import build
from turbo_webnn.models.original_names import original_unet
from turbo_webnn.models.source import Source

RANK, ALPHA = 4, 2.0

UNET_MODULES = re.compile(r"attn\d\.to_(q|k|v|out\.0)|ff\.net\.0\.proj|ff\.net\.2|proj_in|proj_out")
CONVOLUTIONS = re.compile(r"conv1|conv2|conv_shortcut|time_emb_proj|samplers\.0\.conv")
TEXT_MODULES = re.compile(r"self_attn\.(q|k|v|out)_proj|mlp\.fc[12]")

Naming = Callable[[Source, str, str, str], str]
"""From the source, the subfolder, the module's path and `down` or `up`, the name of a matrix."""


def layers(source: Source, wanted: Mapping[str, re.Pattern[str]]) -> Iterable[tuple[str, str, tuple[int, ...]]]:
    """Subfolder, path and weight's shape of the layers of each subfolder in `wanted`."""
    for subfolder, pattern in wanted.items():
        component = next(known for known in source.family.known if known.subfolder == subfolder)
        with torch.device("meta"):
            module = build(component, source.config(component))
        for path, layer in module.named_modules():
            if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d) and pattern.search(path):
                yield subfolder, component.keys(f"{path}.weight")[0].removesuffix(".weight"), tuple(layer.weight.shape)


def lora(
    source: Source,
    path: Path,
    naming: Naming,
    wanted: Mapping[str, re.Pattern[str]],
    *,
    alpha: float | None = ALPHA,
    seed: int = 0,
    scale: float = 0.3,
    metadata: Mapping[str, object] | None = None,
) -> Path:
    """Write a LoRA for the layers `wanted` of `source`; without `alpha` no alphas are in the file."""
    random, arrays = np.random.default_rng(seed), Arrays()
    for subfolder, module, shape in layers(source, wanted):
        down = random.standard_normal((RANK, *shape[1:])) / np.sqrt(np.prod(shape[1:]))
        up = scale * random.standard_normal((shape[0], RANK, *(1 for _ in shape[2:])))
        name = naming(source, subfolder, module, "down")
        arrays[name] = down.astype(np.float16)
        arrays[naming(source, subfolder, module, "up")] = up.astype(np.float16)
        if alpha is not None:
            arrays[name.split(".lora_down")[0] + ".alpha"] = np.array(alpha, np.float16)
    texts = {"format": "pt"} if metadata is None else {"lora_adapter_metadata": json.dumps(metadata)}
    save_file(arrays, path, metadata=texts)
    return path


def peft(source: Source, subfolder: str, module: str, side: str) -> str:
    """As diffusers saves LoRAs now."""
    return f"{subfolder}.{module}.lora_{'A' if side == 'down' else 'B'}.weight"


def diffusers(source: Source, subfolder: str, module: str, side: str) -> str:
    """As diffusers saved LoRAs from version 0.23 on."""
    return f"{subfolder}.{module}.{'lora' if subfolder == 'unet' else 'lora_linear_layer'}.{side}.weight"


def diffusers_older(source: Source, subfolder: str, module: str, side: str) -> str:
    """As diffusers saved the LoRAs of attention before."""
    text = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "out_proj": "to_out"}
    parent, _, layer = module.removesuffix(".0").rpartition(".")
    if subfolder == "unet":
        return f"unet.{parent}.processor.{layer}_lora.{side}.weight"
    return f"{subfolder}.{parent}.{text[layer]}_lora.{side}.weight"


def kohya(source: Source, subfolder: str, module: str, side: str) -> str:
    """As kohya's scripts save LoRAs of Stable Diffusion 1 and 2."""
    start = "unet" if subfolder == "unet" else "te"
    return f"lora_{start}_{module.replace('.', '_')}.lora_{side}.weight"


def kohya_xl(source: Source, subfolder: str, module: str, side: str) -> str:
    """As kohya's scripts save LoRAs of SDXL: the UNet has its original names."""
    if subfolder == "unet":
        config = source.config(source.family.denoiser)
        with torch.device("meta"):
            parameters = build(source.family.denoiser, config).named_parameters()
        originals = _originals(tuple((name, tuple(value.shape)) for name, value in parameters), config)
        return f"lora_unet_{originals[module].replace('.', '_')}.lora_{side}.weight"
    start = {"text_encoder": "te1", "text_encoder_2": "te2"}[subfolder]
    return f"lora_{start}_{module.replace('.', '_')}.lora_{side}.weight"


def _originals(parameters: tuple[tuple[str, tuple[int, ...]], ...], config: Mapping[str, object]) -> dict[str, str]:
    layers_per_block = config["layers_per_block"]
    assert isinstance(layers_per_block, int)
    originals = original_unet(dict(parameters), layers_per_block, prefix="")
    return {
        original.keys[0].removesuffix(".weight"): original.name.removesuffix(".weight")
        for original in originals
        if original.name.endswith(".weight")
    }
