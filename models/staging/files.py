"""Files that are written whole or not at all, also when other processes write them at the same time."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from turbo_webnn.models.staging.interruption import uninterrupted
from turbo_webnn.models.staging.parents import parent_folders
from turbo_webnn.models.staging.scratch import scratch_file


def write_whole(contents: Mapping[Path, bytes]) -> None:
    """Write every file of `contents`, or none; a reader finds the old bytes or the new ones.

    All bytes are on the disk before the first file is renamed. Only a crash of the system between two renames can
    leave some files new and others old.

    Raises:
        OSError: where a file cannot be written; all files are then unchanged.
    """
    with ExitStack() as scratch:
        staged: dict[Path, Path] = {}
        for path, data in contents.items():
            scratch.enter_context(parent_folders(path))
            staged[path] = scratch.enter_context(scratch_file(path))
            with staged[path].open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for path in staged:  # the only error that could appear after the first rename
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        with uninterrupted():
            for path, source in staged.items():
                source.replace(path)
