"""Temporary files and folders beside their destination, under a lock that ends with their process.

The name is `.NAME.turbo-webnn-XXXXXXXX`. A running process holds an exclusive lock on it. A path without a lock was
left by a killed run, and the next run removes it. On systems without such locks (Windows) nothing is removed.
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
"""The number of names to try before the file system counts as one without locks."""


@contextmanager
def scratch_folder(destination: Path) -> Iterator[Path]:
    """Create a folder beside `destination`; remove it at the end of the block.

    Raises:
        OSError: where it cannot be created.
    """
    yield from _locked(destination, lambda path: path.mkdir(0o700))


@contextmanager
def scratch_file(destination: Path) -> Iterator[Path]:
    """Create an empty file beside `destination`; remove it at the end of the block unless it was renamed.

    Raises:
        OSError: where it cannot be created.
    """
    yield from _locked(destination, lambda path: path.touch(exist_ok=False))


def is_scratch(path: Path) -> bool:
    """Whether `path` has the name of a temporary file or folder."""
    return path.name.startswith(".") and _MARK in path.name


def sweep(destination: Path) -> None:
    """Remove the temporary files and folders that killed runs left beside `destination`."""
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
        remove(path)  # another run removed it before it was locked
    else:  # the file system has no locks, so other runs cannot remove it
        make(path)
    try:
        yield path
    finally:
        remove(path)
        if lock is not None:
            os.close(lock)
