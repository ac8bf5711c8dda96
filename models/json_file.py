"""JSON objects on disk, read with errors that a user understands and written the same each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.errors import RequestError


def read_json(path: Path) -> dict[str, Any]:
    """The object that `path` holds.

    Raises:
        RequestError: where the file is missing, or not a JSON object.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RequestError(f"{path} is missing", "give a complete folder") from None
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} is not readable JSON ({error})", "copy or download it anew") from error
    if not isinstance(held, dict):
        raise RequestError(f"{path} is not a JSON object", "copy or download it anew")
    return held


def json_bytes(value: Any) -> bytes:
    """`value` as the files of this project hold it: indented, keys in the order given, ending in a newline.

    Raises:
        ValueError: where it holds NaN or an infinite number, which no JSON parser reads.
    """
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` as `json_bytes` gives it, and make the folders above."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json_bytes(value))
