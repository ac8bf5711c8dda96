"""What smaller recipes of a bundle cost in quality, where that was measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from turbo_webnn.models.json_file import read_json

QUALITY = "report/quality.json"


@dataclass(frozen=True)
class Quality:
    """A recipe of quantisation: the bytes of its weights, and the PSNR of its pictures in dB."""

    recipe: str
    bytes: int
    psnr: float


def read_quality(bundle: Path) -> tuple[Quality, ...]:
    """What `report/quality.json` of the bundle at `bundle` lists; nothing where there is no such file.

    Raises:
        RequestError: where the file is no such list.
    """
    path = bundle / QUALITY
    return read_json(path, tuple[Quality, ...], "measure it anew, or remove it") if path.is_file() else ()
