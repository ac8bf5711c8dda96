"""Pictures to the VAE's numbers and back, as the manifest's `image` entry says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from turbo_webnn.models.errors import RequestError

FILTER = Image.Resampling.LANCZOS
"""How a picture is brought to size: diffusers' VaeImageProcessor resamples with it too."""

Pixels = NDArray[np.uint8]
"""Pictures [batch, height, width, 3]."""


def open_image(path: str | Path) -> Image.Image:
    """The picture in the file at `path`, read.

    Raises:
        RequestError: where the file is missing, no picture, cut short, or of a size that no camera makes.
    """
    try:
        image = Image.open(path)
        image.load()
    except FileNotFoundError:
        raise RequestError(f"{path} is missing", "give a picture's file") from None
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise RequestError(f"{path} is not a readable picture ({error})", "give a PNG, JPEG or WebP file") from error
    return image


def to_sample(image: Image.Image, width: int, height: int) -> NDArray[np.float32]:
    """`image` as the VAE encoder takes it: float32 [1, 3, height, width] in -1…1.

    Turned upright by its EXIF tag, laid on white where it is transparent, scaled to cover the size and
    cropped about its centre.
    """
    upright = _rgb(ImageOps.exif_transpose(image))
    fitted = ImageOps.fit(upright, (width, height), FILTER)
    pixels = np.asarray(fitted, np.float32)  # [height, width, 3]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))[np.newaxis] / np.float32(127.5) - np.float32(1.0)


def to_unit(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """The decoder's `sample` as it is shown: 0…1, what lies outside -1…1 clamped, not yet rounded."""
    return np.clip(sample.astype(np.float32, copy=False) / 2 + np.float32(0.5), 0.0, 1.0)


def to_pixels(sample: NDArray[np.float32]) -> Pixels:
    """The decoder's `sample` [batch, 3, height, width] in -1…1, rounded to eight bits: [batch, height, width, 3]."""
    return np.ascontiguousarray(np.rint(to_unit(sample) * 255).astype(np.uint8).transpose(0, 2, 3, 1))


def to_images(sample: NDArray[np.float32]) -> list[Image.Image]:
    """The decoder's `sample` [batch, 3, height, width] in -1…1 as pictures, rounded to eight bits."""
    return [Image.fromarray(picture) for picture in to_pixels(sample)]


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip to 8 instead of scaling
        grey = np.clip(np.asarray(image, np.float32) / 257, 0, 255)
        return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")
    if image.mode == "La":  # the one mode that Pillow does not bring to RGBA in one go
        image = image.convert("LA")
    if image.has_transparency_data:
        solid = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(solid, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
