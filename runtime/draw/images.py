"""Conversion between pictures and samples of the VAE, as the manifest's `image` entry describes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from turbo_webnn.models.errors import RequestError

FILTER = Image.Resampling.LANCZOS
"""The resampling filter for input pictures: the one of diffusers' VaeImageProcessor."""

Pixels = NDArray[np.uint8]
"""Pictures [batch, height, width, 3]."""


def open_image(path: str | Path) -> Image.Image:
    """Read the picture in the file at `path`.

    Raises:
        RequestError: where the file is missing, no picture, truncated, or so large that Pillow takes it for a
            decompression bomb.
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
    """Convert `image` into an input of the VAE encoder: float32 [1, 3, height, width] in -1…1.

    The picture is rotated by its EXIF tag, composited over white where it is transparent, scaled to cover the size,
    and cropped around its centre.
    """
    upright = _to_rgb(ImageOps.exif_transpose(image))
    fitted = ImageOps.fit(upright, (width, height), FILTER)
    pixels = np.asarray(fitted, np.float32)  # [height, width, 3]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))[np.newaxis] / np.float32(127.5) - np.float32(1.0)


def to_unit(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convert the decoder's `sample` from -1…1 to 0…1. Numbers outside are clamped; none is rounded."""
    return np.clip(sample.astype(np.float32, copy=False) / 2 + np.float32(0.5), 0.0, 1.0)


def to_pixels(sample: NDArray[np.float32]) -> Pixels:
    """Convert the decoder's `sample` [batch, 3, height, width] in -1…1 to bytes [batch, height, width, 3]."""
    return np.ascontiguousarray(np.rint(to_unit(sample) * 255).astype(np.uint8).transpose(0, 2, 3, 1))


def to_images(sample: NDArray[np.float32]) -> list[Image.Image]:
    """Convert the decoder's `sample` [batch, 3, height, width] in -1…1 to pictures of eight bits."""
    return [Image.fromarray(picture) for picture in to_pixels(sample)]


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits per pixel, which Pillow clips to 8 bits instead of scaling
        grey = np.clip(np.asarray(image, np.float32) / 257, 0, 255)
        return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")
    if image.mode == "La":  # the only mode that Pillow cannot convert to RGBA directly
        image = image.convert("LA")
    if image.has_transparency_data:
        background = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(background, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
