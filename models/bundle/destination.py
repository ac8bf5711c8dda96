"""The destination of a bundle: the bundle is written to a folder beside it, and then replaces it in one step."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path

from turbo_webnn.models.bundle.manifest import MANIFEST, read_manifest
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.staging import require_free, staged_folder


def named_files(folder: Path) -> Collection[str] | None:
    """The paths of the bundle's files, including its manifest; None if `folder` is no bundle."""
    try:
        manifest = read_manifest(folder)
    except RequestError:
        return None
    return {MANIFEST, *(file.path for file in manifest.named_files())}


def require_bundle_place(destination: Path, *, overwrite: bool) -> None:
    """Refuse a destination where no bundle may be written; RequestError as `models.staging.require_free`."""
    require_free(destination, overwrite=overwrite, named=named_files)


def staged(destination: Path, *, overwrite: bool) -> AbstractContextManager[Path]:
    """A folder to write a bundle in. It replaces `destination` when the block ends without an error.

    Raises:
        RequestError: as `models.staging.staged_folder`.
    """
    return staged_folder(destination, overwrite=overwrite, named=named_files)
