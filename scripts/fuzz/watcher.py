"""A reader that looks at a path without pause, and counts the moments in which nothing is there."""

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
"""Offsets and form of the numbers that both processes see."""

_IDLE_S = 0.0005


class Watcher:
    """A process that looks whether `path` exists for as long as it is told to.

    Attributes:
        looks: how often it looked.
        misses: how often nothing was there.
    """

    def __init__(self, path: Path) -> None:
        self._path = os.fspath(path)
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)
        self._pid = 0

    def __enter__(self) -> Watcher:
        self._pid = os.fork()
        if self._pid == 0:
            self._look()
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
        """Begin or end to look; returns when the process knows."""
        self._set(_WATCHING, int(on))
        while self._get(_CHECKED) != int(on):
            time.sleep(_IDLE_S)

    def _look(self) -> None:
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
