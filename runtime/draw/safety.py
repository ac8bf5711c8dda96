"""Prepare pictures for the safety checker, and blacken those that it flags.

Both follow diffusers: CLIPImageProcessor and StableDiffusionSafetyChecker.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from turbo_webnn.models.parts.safety_checker import SAFETY_PIXELS
from turbo_webnn.runtime.draw.noise import Float32Array

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""Mean and standard deviation of RGB in 0…1 (OpenAI CLIP's preprocessing)."""


def clip_input(pictures: Sequence[Image.Image]) -> Float32Array:
    """Scale, crop and normalise RGB pictures for CLIP: float32 [batch, 3, 224, 224]."""
    size = (SAFETY_PIXELS, SAFETY_PIXELS)
    fitted = [ImageOps.fit(picture, size, Image.Resampling.BICUBIC) for picture in pictures]
    pixels = np.stack([np.asarray(picture, np.float32) for picture in fitted]) / np.float32(255)
    normalized = (pixels - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)  # [batch, 224, 224, 3]
    return np.ascontiguousarray(normalized.transpose(0, 3, 1, 2), np.float32)


def blacken(pictures: Sequence[Image.Image], flags: Sequence[bool]) -> list[Image.Image]:
    """Replace flagged pictures with black ones."""
    return [
        Image.new(picture.mode, picture.size) if flag else picture
        for picture, flag in zip(pictures, flags, strict=True)
    ]
