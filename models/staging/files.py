"""Files that are written whole or not at all, whoever else writes them at the same time."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from turbo_webnn.models.staging.interruption import uninterrupted
from turbo_webnn.models.staging.parents import made_parents
from turbo_webnn.models.staging.scratch import scratch_file


def write_whole(contents: Mapping[Path, bytes]) -> None:
    """Write every file of `contents`, or none; a reader finds the old bytes or the new ones.

    The bytes are on the disk before the first file takes its place. Only a system that fails between two renames can
    leave some files new and others old.

    Raises:
        OSError: where a file cannot be written; all are then as they were.
    """
    with ExitStack() as scratch:
        written: dict[Path, Path] = {}
        for path, data in contents.items():
            scratch.enter_context(made_parents(path))
            written[path] = scratch.enter_context(scratch_file(path))
            with written[path].open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for path in written:  # the one thing that would fail after others have taken their places
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        with uninterrupted():
            for path, source in written.items():
                source.replace(path)
