"""A bundle's manifest and its damaged files: whether a sha256 tells the damage, and how to make it not tell."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from turbo_webnn.models.bundle import MANIFEST, named_files


def is_told(folder: Path, original: Path) -> bool:
    """Whether the manifest is the original's, and names a file that `folder` has not or has with other bytes."""
    manifest = folder / MANIFEST
    if not _is_plain(manifest) or manifest.read_bytes() != (original / MANIFEST).read_bytes():
        return False
    names = set(named_files(original) or ()) - {MANIFEST}
    return any(not _is_same(folder / name, original / name) for name in names)


def _is_same(path: Path, original: Path) -> bool:
    try:
        return _is_plain(path, links=True) and path.read_bytes() == original.read_bytes()
    except OSError:
        return False


def _is_plain(path: Path, *, links: bool = False) -> bool:
    with suppress(OSError):
        return path.is_file() and (links or not path.is_symlink())
    return False


def reseal(folder: Path) -> bool:
    """Write into the manifest what its files are now; whether it could be done."""
    manifest = folder / MANIFEST
    if not _is_plain(manifest):
        return False
    with suppress(ValueError, RecursionError):
        document = json.loads(manifest.read_bytes())
        for entry in _file_entries(document):
            path = folder / entry["path"].replace("\0", "")
            if _is_plain(path):
                data = path.read_bytes()
                entry |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        manifest.write_text(json.dumps(document))
        return True
    return False


def _file_entries(value: Any) -> Iterator[dict[str, Any]]:
    """Every object below `value` that describes a file."""
    if isinstance(value, dict):
        if isinstance(value.get("path"), str) and "sha256" in value:
            yield value
        for below in value.values():
            yield from _file_entries(below)
    elif isinstance(value, list):
        for below in value:
            yield from _file_entries(below)
