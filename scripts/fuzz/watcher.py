"""A reader that checks a path continuously, and counts the checks that find nothing."""

from __future__ import annotations

import mmap
import os
import signal
import time
from pathlib import Path
from struct import Struct
from types import TracebackType

_WATCHING, _CHECKED, _LOOKS, _MISSES = 0, 8, 16, 24
_NUMBER = Struct("q")
"""The offsets and the format of the numbers in shared memory."""

_IDLE_S = 0.0005


class Watcher:
    """A process that checks whether `path` exists, while it is switched on.

    Attributes:
        looks: the number of checks.
        misses: the number of checks that found nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = os.fspath(path)
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)
        self._pid = 0

    def __enter__(self) -> Watcher:
        self._pid = os.fork()
        if self._pid == 0:
            self._check_repeatedly()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    @property
    def looks(self) -> int:
        """The number of checks."""
        return self._get(_LOOKS)

    @property
    def misses(self) -> int:
        """The number of checks that found nothing at the path."""
        return self._get(_MISSES)

    def watch(self, *, on: bool) -> None:
        """Switch the checks on or off; return when the process has confirmed it."""
        self._set(_WATCHING, int(on))
        while self._get(_CHECKED) != int(on):
            time.sleep(_IDLE_S)

    def _check_repeatedly(self) -> None:
        looks = misses = 0
        while True:
            watching = self._get(_WATCHING)
            self._set(_CHECKED, watching)
            if not watching:
                time.sleep(_IDLE_S)
                continue
            looks += 1
            misses += not os.path.lexists(self._path)
            self._set(_LOOKS, looks)
            self._set(_MISSES, misses)

    def _get(self, offset: int) -> int:
        return int(_NUMBER.unpack_from(self._shared, offset)[0])

    def _set(self, offset: int, value: int) -> None:
        _NUMBER.pack_into(self._shared, offset, value)
