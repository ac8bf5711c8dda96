"""The digests in a bundle's manifest: whether they reveal the damaged files, and how to update them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from turbo_webnn.models.bundle import MANIFEST, named_files


def has_digest_mismatch(folder: Path, original: Path) -> bool:
    """Whether the manifest is unchanged, and lists a file that is missing in `folder` or has other bytes."""
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
    """Write the current digests of the files into the manifest; return whether this was possible."""
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
    """All objects inside `value` that describe a file."""
    if isinstance(value, dict):
        if isinstance(value.get("path"), str) and "sha256" in value:
            yield value
        for inner in value.values():
            yield from _file_entries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _file_entries(inner)
