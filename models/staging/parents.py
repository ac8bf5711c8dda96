"""The parent folders of a result: created where missing, and removed again where the result fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def parent_folders(path: Path) -> Iterator[None]:
    """Create the missing parent folders of `path`; remove the empty ones of them where the block fails.

    Raises:
        OSError: where one cannot be created.
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
