"""A folder that appears whole or not at all: it is written beside its destination, and takes its place at the end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.bundle.manifest import MANIFEST
from models.errors import RequestError


@contextmanager
def staged(destination: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder beside `destination` that takes its place when the block ends well, and is gone when it does not.

    Whoever looks at `destination` sees the old contents whole, or the new.

    Raises:
        RequestError: where `destination` exists and `overwrite` is false, or is something else than a folder
            that this project wrote, or cannot be written.
    """
    if destination.exists():
        if not overwrite:
            raise RequestError(f"{destination} exists", "give --overwrite, or another place")
        if not any((destination / mark).is_file() for mark in (MANIFEST, "model_index.json")):
            raise RequestError(f"{destination} exists and is not ours to replace", "give another place")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=f".{destination.name}-", dir=destination.parent))
    except OSError as error:
        raise RequestError(f"{destination} cannot be written ({error.strerror})", "give another place") from error
    try:
        stage.chmod(0o755)  # mkdtemp's 0700 is for secrets
        yield stage
        _replace(stage, destination)
    except OSError as error:
        raise RequestError(
            f"writing {destination} failed ({error.strerror or error})",
            "free some space or give another place",
        ) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _replace(stage: Path, destination: Path) -> None:
    """Put `stage` where `destination` is. A folder cannot be exchanged in one step everywhere, so the old one
    steps aside first and comes back if the new one cannot take its place."""
    if not destination.exists():
        stage.rename(destination)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{destination.name}-old-", dir=destination.parent))
    old = aside / "old"
    try:
        destination.rename(old)
        stage.rename(destination)
    finally:
        if old.exists() and not destination.exists():
            old.rename(destination)
        shutil.rmtree(aside, ignore_errors=True)  # not reached where the old one could not come back
