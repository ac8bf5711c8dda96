"""The sha256 digests of files, cached while a file is unchanged, so that large files are read once.

The cache is a small database in the user's cache folder. It is optional: where it cannot be read or written, files
are read again.
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
"""The age of a change, in nanoseconds, after which a further change has another time: clocks of file systems advance in
steps of up to 10 ms."""

_WAIT_S = 2.0
"""The time limit, in seconds, to wait for another process that writes the cache."""

_READERS = 2
"""The number of files that are read in parallel: hashing uses one core and releases Python's global lock."""

_TABLE = """create table if not exists digests (
  device integer, inode integer, bytes integer, modified_ns integer, changed_ns integer, sha256 text,
  primary key (device, inode)
)"""


@dataclass(frozen=True)
class FileState:
    """The identity, size and times of a file, which show a change without reading the file."""

    device: int
    inode: int
    bytes: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> FileState:
        """The state of the file at `path`; raises OSError where there is none."""
        stat = path.stat()
        # SQLite has no unsigned 64-bit integers
        return cls(stat.st_dev, stat.st_ino & (2**63 - 1), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)

    def is_same_content(self, other: FileState) -> bool:
        """Whether both are states of one file that was not written in between; names and permissions may differ."""
        return replace(self, changed_ns=0) == replace(other, changed_ns=0)


def read_sha256(path: Path) -> str:
    """The sha256 of the file at `path` in hexadecimal digits, computed now."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_all(paths: Iterable[Path]) -> dict[Path, str]:
    """The sha256 of each file, from the cache where the file is unchanged.

    Raises:
        OSError: where a file cannot be read.
    """
    states = {path: FileState.of(path) for path in paths}
    cached = _cached_digests(states)
    uncached = [path for path in states if path not in cached]
    start_time_ns = time.time_ns()
    with ThreadPoolExecutor(_READERS) as readers:
        computed = dict(zip(uncached, readers.map(read_sha256, uncached), strict=True))
    _store(
        {
            state: computed[path]
            for path, state in states.items()
            if path in computed and start_time_ns - state.changed_ns > _SETTLED_NS and FileState.of(path) == state
        }
    )
    return {path: cached.get(path) or computed[path] for path in states}


def _cached_digests(states: dict[Path, FileState]) -> dict[Path, str]:
    query = (
        "select sha256 from digests where device = ? and inode = ? and bytes = ? and modified_ns = ? and changed_ns = ?"
    )
    try:
        with _database() as database:
            rows = {path: database.execute(query, astuple(state)).fetchone() for path, state in states.items()}
    except (sqlite3.Error, OSError):
        return {}
    return {path: row[0] for path, row in rows.items() if row is not None}


def _store(digests: dict[FileState, str]) -> None:
    if not digests:
        return
    rows = [(*astuple(state), digest) for state, digest in digests.items()]
    try:
        with _database() as database, database:
            database.executemany("insert or replace into digests values (?, ?, ?, ?, ?, ?)", rows)
    except (sqlite3.Error, OSError):
        return  # the files are read again next time


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    folder = platformdirs.user_cache_path("turbo-webnn", appauthor=False)
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / "digests.sqlite", timeout=_WAIT_S)) as database:
        database.execute(_TABLE)
        yield database
