"""Locks on files and folders, which the system releases when their process ends."""

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
"""Whether the system supports these locks; Windows has none on folders."""


def try_lock(path: Path) -> int | None:
    """Lock `path` and return the descriptor of the lock.

    Returns:
        None where another process holds the lock, `path` does not exist, or the file system has no locks.
    """
    return _lock(path, wait=False)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Run the block in one process at a time for each `folder`; without effect on a file system without locks."""
    lock = _lock(folder, wait=True)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def _lock(path: Path, *, wait: bool) -> int | None:
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
        if not wait:  # otherwise another folder replaced the locked one: try again
            return None
