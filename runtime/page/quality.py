"""What smaller recipes of a bundle cost in quality, where that was measured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from models.errors import RequestError

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
    if not path.is_file():
        return ()
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return tuple(Quality(str(each["recipe"]), int(each["bytes"]), float(each["psnr"])) for each in held)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RequestError(f"{path} is no list of recipes ({error!r})", "measure it anew, or remove it") from error
