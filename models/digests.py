"""sha256 of files, remembered for as long as a file stays the same one, so that gigabytes are read once a machine.

The memory is a small database in the user's cache folder. It is a convenience: where it cannot be read or written,
files are read again.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import platformdirs

_SETTLED_NS = 100_000_000
"""Age of a change, in nanoseconds, from which the next one is sure to have another time: clocks of file systems tick
in steps of up to 10 ms."""

_WAIT_S = 2.0
"""Seconds to wait for another process that writes the memory."""

_READERS = 2
"""Files read at a time: hashing keeps a core busy, and Python's lock is free meanwhile."""

_TABLE = """create table if not exists digests (
  device integer, inode integer, bytes integer, modified_ns integer, changed_ns integer, sha256 text,
  primary key (device, inode)
)"""


@dataclass(frozen=True)
class FileState:
    """What tells one state of a file from another without reading it: who it is, its size, and when it changed."""

    device: int
    inode: int
    bytes: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        """The state of the file at `path`; OSError where there is none."""
        stat = path.stat()
        # 64-bit numbers without a sign are no integers of SQLite's
        return cls(stat.st_dev, stat.st_ino & (2**63 - 1), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)

    def is_same_content(self, other: FileState) -> bool:
        """Whether both are of one file that was not written in between, whatever its names and permissions."""
        return replace(self, changed_ns=0) == replace(other, changed_ns=0)


def read_sha256(path: Path) -> str:
    """The sha256 of the file at `path` in hexadecimal digits, read now."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_all(paths: Iterable[Path]) -> dict[Path, str]:
    """The sha256 of each file, from memory where it is the same file in the same state.

    Raises:
        OSError: where one cannot be read.
    """
    states = {path: FileState.of(path) for path in paths}
    known = _remembered(states)
    unknown = [path for path in states if path not in known]
    began = time.time_ns()
    with ThreadPoolExecutor(_READERS) as readers:
        found = dict(zip(unknown, readers.map(read_sha256, unknown), strict=True))
    _remember(
        {
            state: found[path]
            for path, state in states.items()
            if path in found and began - state.changed_ns > _SETTLED_NS and FileState.of(path) == state
        }
    )
    return {path: known.get(path) or found[path] for path in states}


def _remembered(states: dict[Path, FileState]) -> dict[Path, str]:
    query = (
        "select sha256 from digests where device = ? and inode = ? and bytes = ? and modified_ns = ? and changed_ns = ?"
    )
    try:
        with _database() as database:
            rows = {path: database.execute(query, astuple(state)).fetchone() for path, state in states.items()}
    except (sqlite3.Error, OSError):
        return {}
    return {path: row[0] for path, row in rows.items() if row is not None}


def _remember(digests: dict[FileState, str]) -> None:
    if not digests:
        return
    rows = [(*astuple(state), digest) for state, digest in digests.items()]
    try:
        with _database() as database, database:
            database.executemany("insert or replace into digests values (?, ?, ?, ?, ?, ?)", rows)
    except (sqlite3.Error, OSError):
        return  # the files are read again the next time


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    folder = platformdirs.user_cache_path("turbo-webnn", appauthor=False)
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "digests.sqlite", timeout=_WAIT_S)) as database:
        database.execute(_TABLE)
        yield database
