"""Work in progress beside its destination, under a lock that ends with its process, so that the next run can tell it.

The name is `.NAME.turbo-webnn-XXXXXXXX`. A living run holds an exclusive lock on it; what has no lock was left by a
run that was killed, and is swept. Where the system has no such locks (Windows), nothing is swept.
"""

from __future__ import annotations

import glob
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from turbo_webnn.models.staging.locks import HAS_LOCKS, try_lock

_MARK = ".turbo-webnn-"

_TRIES = 3
"""Names to try before locks are taken to be missing."""


@contextmanager
def scratch_folder(destination: Path) -> Iterator[Path]:
    """A new folder beside `destination`, which is gone with the block.

    Raises:
        OSError: where it cannot be made.
    """
    yield from _locked(destination, lambda path: path.mkdir(0o700))


@contextmanager
def scratch_file(destination: Path) -> Iterator[Path]:
    """A new, empty file beside `destination`, which is gone with the block unless it was renamed.

    Raises:
        OSError: where it cannot be made.
    """
    yield from _locked(destination, lambda path: path.touch(exist_ok=False))


def is_scratch(path: Path) -> bool:
    """Whether `path` is named as work in progress is."""
    return path.name.startswith(".") and _MARK in path.name


def sweep(destination: Path) -> None:
    """Remove what killed runs left beside `destination`."""
    for path in destination.parent.glob(f"{glob.escape(_prefix(destination))}*"):
        lock = try_lock(path)
        if lock is not None:
            remove(path)
            os.close(lock)


def remove(path: Path) -> None:
    """Remove the file, link or folder at `path`, as far as the system permits."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _prefix(destination: Path) -> str:
    return f".{destination.name}{_MARK}"


def _locked(destination: Path, make: Callable[[Path], object]) -> Iterator[Path]:
    sweep(destination)
    lock = None
    for _ in range(_TRIES):
        path = destination.with_name(_prefix(destination) + secrets.token_hex(4))
        make(path)
        lock = try_lock(path)
        if lock is not None or not HAS_LOCKS:
            break
        remove(path)  # another run swept it before it was locked
    else:  # the file system has no locks: other runs cannot sweep it either
        make(path)
    try:
        yield path
    finally:
        remove(path)
        if lock is not None:
            os.close(lock)
