"""The folders above a result: made where they are missing, and taken back where the result fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def made_parents(path: Path) -> Iterator[None]:
    """The folders above `path`; those that this made are removed where the block fails and they are empty.

    Raises:
        OSError: where one cannot be made.
    """
    missing = [folder for folder in path.parents if not folder.exists()]  # the deepest first
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        raise
