"""The safety checker's view of a picture, and what becomes of one that it refuses.

As diffusers does: CLIPImageProcessor prepares the pictures, StableDiffusionSafetyChecker blackens what it flags.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from turbo_webnn.models.parts.safety_checker import SAFETY_PIXELS
from turbo_webnn.runtime.draw.noise import Float32Array

MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
"""Of RGB in 0…1 (OpenAI CLIP's preprocessing)."""


def clip_input(pictures: Sequence[Image.Image]) -> Float32Array:
    """RGB pictures as CLIP reads them: float32 [batch, 3, 224, 224], scaled to cover that and cropped, normalised."""
    size = (SAFETY_PIXELS, SAFETY_PIXELS)
    fitted = [ImageOps.fit(picture, size, Image.Resampling.BICUBIC) for picture in pictures]
    pixels = np.stack([np.asarray(picture, np.float32) for picture in fitted]) / np.float32(255)
    normal = (pixels - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)  # [batch, 224, 224, 3]
    return np.ascontiguousarray(normal.transpose(0, 3, 1, 2), np.float32)


def blackened(pictures: Sequence[Image.Image], flagged: Sequence[bool]) -> list[Image.Image]:
    """The pictures, those that are flagged in black."""
    return [
        Image.new(picture.mode, picture.size) if refused else picture
        for picture, refused in zip(pictures, flagged, strict=True)
    ]
