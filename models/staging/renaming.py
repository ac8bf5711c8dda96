"""Renames in one system call: to a path that does not exist, or in exchange with an existing folder.

Linux has `renameat2` and macOS `renamex_np`; on Windows a rename always fails where the target exists. Some network
and FUSE mounts have no such call. There the target is checked first and then renamed, and an exchange first moves one
folder aside. A process that is killed between these steps leaves the old folder beside the destination, and a reader
may find nothing for a moment.
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
"""Error numbers of systems and file systems that do not support a flag."""

_Rename = Callable[[bytes, bytes, int], int]


def rename_new(source: Path, destination: Path) -> None:
    """Rename `source` to `destination`, which must not exist.

    Raises:
        FileExistsError: where `destination` exists, even as an empty folder.
        OSError: where the rename fails.
    """
    if sys.platform == "win32":
        source.rename(destination)
    elif not _rename_with_flag(source, destination, _RENAME_EXCL if sys.platform == "darwin" else _RENAME_NOREPLACE):
        if os.path.lexists(destination):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(destination))
        source.rename(destination)


def exchange(first: Path, second: Path) -> None:
    """Exchange the paths of two folders.

    Raises:
        FileNotFoundError: where one of them does not exist.
        OSError: where the exchange fails; both folders are then unchanged.
    """
    if sys.platform != "win32" and _rename_with_flag(
        first, second, _RENAME_SWAP if sys.platform == "darwin" else _RENAME_EXCHANGE
    ):
        return
    aside = first.with_name(f"{first.name}-aside")
    second.rename(aside)
    try:
        first.rename(second)
    except OSError:
        aside.rename(second)
        raise
    aside.rename(first)


def _rename_with_flag(source: Path, destination: Path, flag: int) -> bool:
    """Rename with `flag`; return False where the system or the file system does not support it."""
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
    """The rename function with flags of the C library; None where it has none."""
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin" and hasattr(library, "renamex_np"):
        return library.renamex_np  # type: ignore[no-any-return]
    if sys.platform == "linux" and hasattr(library, "renameat2"):
        call = library.renameat2
        return lambda source, destination, flag: call(_AT_FDCWD, source, _AT_FDCWD, destination, ctypes.c_uint(flag))
    return None
