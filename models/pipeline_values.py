"""Config values that diffusers' pipelines read beside their modules: without them a picture is another one.

Sources: StableDiffusionPipeline, StableDiffusionXLPipeline and their image-to-image sisters in diffusers 0.42.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from models.component import Component

GUIDANCE = 0.0
"""The guidance scale of turbo models: none."""


def latent_statistics(component: Component, config: Mapping[str, Any]) -> tuple[list[float], list[float]] | None:
    """Mean and standard deviation of each channel of a VAE's latents; None where the pipeline asks for none.

    StableDiffusionXLPipeline decodes `latents · std / scaling_factor + mean`, where the config has both, and encodes
    the inverse. StableDiffusionPipeline reads neither. Here both are part of the VAE's graphs, so that whoever divides
    by the scaling factor, as every consumer does, is right.
    """
    mean, std = config.get("latents_mean"), config.get("latents_std")
    if not component.latent_statistics or mean is None or std is None:
        return None
    return [float(number) for number in mean], [float(number) for number in std]


def guidance_embedding(config: Mapping[str, Any]) -> list[float] | None:
    """What a UNet distilled with guidance is told of `GUIDANCE`: its `timestep_cond`, a row of `time_cond_proj_dim`.

    None for any other UNet. Source: `get_guidance_scale_embedding` of the pipelines, from `guidance_scale - 1`.
    """
    width = config.get("time_cond_proj_dim")
    if width is None:
        return None
    half = width // 2
    frequencies = np.exp(np.arange(half, dtype=np.float32) * -np.float32(np.log(10000.0) / (half - 1)))
    angles = np.float32((GUIDANCE - 1.0) * 1000.0) * frequencies
    row = np.concatenate([np.sin(angles), np.cos(angles), np.zeros(width % 2)])
    return [float(number) for number in row]
