"""The measured quality of smaller quantisation recipes of a bundle."""

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
    """Read `report/quality.json` of the bundle at `bundle`; return nothing where the file is missing.

    Raises:
        RequestError: where the file has another form.
    """
    path = bundle / QUALITY
    return read_json(path, tuple[Quality, ...], "measure it anew, or remove it") if path.is_file() else ()
