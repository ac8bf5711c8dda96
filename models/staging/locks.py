"""Locks on files and folders that end with their process, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

HAS_LOCKS = fcntl is not None
"""Whether the system has such locks; Windows has none on folders."""


def try_lock(path: Path) -> int | None:
    """A descriptor that locks `path`; None where another process has the lock, `path` is gone, or nothing locks it."""
    return _locked(path, wait=False)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """One process at a time in the block, for each `folder`; where the file system has no locks, any number."""
    lock = _locked(folder, wait=True)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _locked(path: Path, *, wait: bool) -> int | None:
    if not HAS_LOCKS:
        return None
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                return descriptor
        except OSError:
            wait = False
        os.close(descriptor)
        if not wait:  # else another folder took the place of the one that was locked
            return None
