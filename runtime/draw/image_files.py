"""Where drawn pictures go: files in a format that Pillow writes, whole or not at all."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.staging import write_whole

_RIGHT = "give a place and a name that ends in .png"


def require_image_place(path: Path, *, apart_from: Path | None = None) -> None:
    """Refuse a place where no picture can be written, before one is drawn.

    Args:
        path: the file to write.
        apart_from: a picture that must not be replaced: the one that is read.

    Raises:
        RequestError: where `path` does not end as a picture's name, is a folder, or is `apart_from`.
    """
    _format_of(path)
    if path.is_dir():
        raise RequestError(f"{path} is a folder", _RIGHT)
    if apart_from is not None and path.exists() and apart_from.exists() and path.samefile(apart_from):
        raise RequestError(f"{path} is the picture to start from", "give another name, so that it is not replaced")
    above = next((folder for folder in path.absolute().parents if folder.exists()), path)
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise RequestError(f"{path} cannot be written (in {above})", _RIGHT)


def save_images(pictures: Mapping[Path, Image.Image]) -> None:
    """Write every picture to its file, in the format that the file's name says; all of them, or none.

    Raises:
        RequestError: where a format cannot hold the picture, or a file cannot be written.
    """
    try:
        write_whole({path: _encoded(picture, path) for path, picture in pictures.items()})
    except OSError as error:
        names = ", ".join(map(str, pictures))
        raise RequestError(f"{names} cannot be written ({error.strerror or error})", _RIGHT) from error


def _encoded(picture: Image.Image, path: Path) -> bytes:
    buffer = io.BytesIO()
    try:
        picture.save(buffer, _format_of(path))
    except (OSError, ValueError, KeyError) as error:
        raise RequestError(f"{path} cannot hold the picture ({error})", _RIGHT) from error
    return buffer.getvalue()


def _format_of(path: Path) -> str:
    Image.preinit()  # the usual formats; the others' modules take longer to import than a small bundle to draw
    name = Image.EXTENSION.get(path.suffix.lower()) or Image.registered_extensions().get(path.suffix.lower())
    if name is None or name not in Image.SAVE:
        raise RequestError(f"{path} names no format of pictures", _RIGHT)
    return name
