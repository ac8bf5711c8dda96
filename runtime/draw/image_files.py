"""Write pictures to files in the formats of Pillow. All files of one call are written, or none."""

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
    """Require that a picture can be written to `path`, before one is drawn.

    Args:
        path: the file to write.
        apart_from: the picture that is read, which must not be replaced.

    Raises:
        RequestError: where the suffix of `path` is of no picture format, `path` is a folder or is `apart_from`, or its
            folder cannot be written.
    """
    _image_format(path)
    if path.is_dir():
        raise RequestError(f"{path} is a folder", _RIGHT)
    if apart_from is not None and path.exists() and apart_from.exists() and path.samefile(apart_from):
        raise RequestError(f"{path} is the picture to start from", "give another name, so that it is not replaced")
    above = next((folder for folder in path.absolute().parents if folder.exists()), path)
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise RequestError(f"{path} cannot be written (in {above})", _RIGHT)


def save_images(pictures: Mapping[Path, Image.Image]) -> None:
    """Write every picture to its file, in the format of the file's suffix. All files are written, or none.

    Raises:
        RequestError: where a format cannot store the picture, or a file cannot be written.
    """
    try:
        write_whole({path: _encode(picture, path) for path, picture in pictures.items()})
    except OSError as error:
        names = ", ".join(map(str, pictures))
        raise RequestError(f"{names} cannot be written ({error.strerror or error})", _RIGHT) from error


def _encode(picture: Image.Image, path: Path) -> bytes:
    buffer = io.BytesIO()
    try:
        picture.save(buffer, _image_format(path))
    except (OSError, ValueError, KeyError) as error:
        raise RequestError(f"{path} cannot hold the picture ({error})", _RIGHT) from error
    return buffer.getvalue()


def _image_format(path: Path) -> str:
    Image.preinit()  # the usual formats; importing all others takes longer than a drawing with a small bundle
    name = Image.EXTENSION.get(path.suffix.lower()) or Image.registered_extensions().get(path.suffix.lower())
    if name is None or name not in Image.SAVE:
        raise RequestError(f"{path} names no format of pictures", _RIGHT)
    return name
