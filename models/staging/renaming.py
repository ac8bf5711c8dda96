"""Renames that are one system call: onto nothing, or in exchange with what is there.

Linux has `renameat2`, macOS `renamex_np`; Windows refuses by itself to rename onto something. Where a system or a
file system has no such call (some network and FUSE mounts), the best effort is to look first and then rename, and to
exchange two folders by moving one aside: a process that is killed between those steps leaves the old folder beside
the destination, and a reader may find nothing for a moment.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

_AT_FDCWD = -100
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
"""Flags of Linux's renameat2 (linux/fs.h)."""

_RENAME_SWAP, _RENAME_EXCL = 2, 4
"""Flags of macOS's renamex_np (sys/stdio.h)."""

_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What systems and file systems answer to flags that they do not have."""

_Rename = Callable[[bytes, bytes, int], int]


def rename_new(source: Path, destination: Path) -> None:
    """Rename `source` to `destination`, which must not exist.

    Raises:
        FileExistsError: where something is at `destination`, even an empty folder.
        OSError: where the rename fails.
    """
    if sys.platform == "win32":
        source.rename(destination)
    elif not _flagged(source, destination, _RENAME_EXCL if sys.platform == "darwin" else _RENAME_NOREPLACE):
        if os.path.lexists(destination):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(destination))
        source.rename(destination)


def exchange(one: Path, other: Path) -> None:
    """Put each of two folders in the place of the other.

    Raises:
        FileNotFoundError: where one of them does not exist.
        OSError: where the exchange fails; both are then where they were.
    """
    if sys.platform != "win32" and _flagged(one, other, _RENAME_SWAP if sys.platform == "darwin" else _RENAME_EXCHANGE):
        return
    aside = one.with_name(f"{one.name}-aside")
    other.rename(aside)
    try:
        one.rename(other)
    except OSError:
        aside.rename(other)
        raise
    aside.rename(one)


def _flagged(source: Path, destination: Path, flag: int) -> bool:
    """Rename with `flag`; False where the system or the file system has no such rename."""
    rename = _system_call()
    if rename is None:
        return False
    if rename(os.fsencode(source), os.fsencode(destination), flag) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(source), None, str(destination))


@cache
def _system_call() -> _Rename | None:
    """The C library's rename with flags, or None where it has none."""
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin" and hasattr(library, "renamex_np"):
        return library.renamex_np  # type: ignore[no-any-return]
    if sys.platform == "linux" and hasattr(library, "renameat2"):
        call = library.renameat2
        return lambda source, destination, flag: call(_AT_FDCWD, source, _AT_FDCWD, destination, ctypes.c_uint(flag))
    return None
