"""A folder that appears whole or not at all: it is written beside its destination and renamed at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.staging.interruption import uninterrupted
from turbo_webnn.models.staging.parents import parent_folders
from turbo_webnn.models.staging.renaming import exchange, rename_new
from turbo_webnn.models.staging.scratch import is_scratch, remove, scratch_folder

NamedFiles = Callable[[Path], Collection[str] | None]
"""Returns the files that a folder of this project lists, as relative paths; None for any other folder."""

REPORT = "report"
"""The subfolder that may hold files which the folder does not list: pages and figures made from it."""

_SHOWN = 3
"""The number of foreign files that an error message names."""

_TRIES = 10
"""The number of attempts where other runs write the same destination."""


def require_free(destination: Path, *, overwrite: bool, named: NamedFiles) -> None:
    """Refuse a destination that may not be written or replaced.

    Args:
        destination: the path to write.
        overwrite: whether a folder of this project may be replaced.
        named: returns the files of such a folder.

    Raises:
        RequestError: where `destination` exists and `overwrite` is false, or where it is no folder of this project,
            holds files that it does not list, or is the working folder.
    """
    path = _resolved(destination)
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise RequestError(f"{destination} exists", "give --overwrite, or another place")
    names = named(path) if path.is_dir() else None
    if names is None:
        raise RequestError(f"{destination} exists and is not ours to replace", "give another place")
    foreign = _foreign_names(path, names)
    if foreign:
        listing = ", ".join(foreign[:_SHOWN]) + (f" and {len(foreign) - _SHOWN} more" if foreign[_SHOWN:] else "")
        raise RequestError(
            f"{destination} holds {listing}, which --overwrite would delete", "move that away, or give another place"
        )
    if any(_is_same(path, folder) for folder in (Path.cwd(), *Path.cwd().parents)):
        raise RequestError(f"{destination} is or holds the working folder", "run from another folder")


def require_apart(destination: Path, sources: Iterable[Path]) -> None:
    """Refuse a destination that is, contains or lies in one of `sources`.

    Raises:
        RequestError: names the source.
    """
    path = _resolved(destination)
    for source in sources:
        folder = source.resolve()
        for outer, inner, relation in ((folder, path, "lies in"), (path, folder, "contains")):
            if any(_is_same(outer, ancestor) for ancestor in (inner, *inner.parents)):
                relation = "is" if _is_same(folder, path) else relation
                raise RequestError(f"the output {destination} {relation} the source {source}", "give another place")


@contextmanager
def staged_folder(destination: Path, *, overwrite: bool, named: NamedFiles) -> Iterator[Path]:
    """A new folder that replaces `destination` when the block ends without error, and is removed otherwise.

    A reader always finds the whole old folder or the whole new one. All bytes are on the disk before the replacement.
    Folders that killed runs left beside `destination` are removed.

    Args:
        destination: the path of the finished folder.
        overwrite: whether a folder of this project at `destination` may be replaced.
        named: returns the files of such a folder.

    Raises:
        RequestError: as `require_free`, at the start and at the end, or where `destination` cannot be written.
    """
    require_free(destination, overwrite=overwrite, named=named)
    path, has_scratch = _resolved(destination), False
    try:
        with parent_folders(path), scratch_folder(path) as scratch:
            has_scratch = True
            stage = scratch / "new"
            stage.mkdir()
            yield stage
            _flush(stage)
            with uninterrupted():
                _replace(stage, path, destination, overwrite=overwrite, named=named)
                _flush_folder(path.parent)
                remove(scratch)
    except OSError as error:
        reason = error.strerror or str(error)
        if not has_scratch:
            raise RequestError(f"{destination} cannot be written ({reason})", "give another place") from error
        raise RequestError(
            f"writing {destination} failed ({reason})", "free some space or give another place"
        ) from error


def _replace(stage: Path, path: Path, destination: Path, *, overwrite: bool, named: NamedFiles) -> None:
    """Move `stage` to `path`; an old folder at `path` moves to `stage`."""
    for _ in range(_TRIES):
        try:
            rename_new(stage, path)
        except FileExistsError:
            require_free(destination, overwrite=overwrite, named=named)
        else:
            return
        try:
            exchange(stage, path)
        except FileNotFoundError:  # another run removed it
            continue
        foreign = _foreign_names(stage, named(stage) or ())
        if not foreign:
            return
        exchange(stage, path)  # a foreign file appeared between the check and the exchange
        raise RequestError(f"{destination} holds {foreign[0]}, which was not there before", "give another place")
    raise RequestError(f"{destination} is written by other runs without end", "give another place")


def _foreign_names(folder: Path, names: Collection[str]) -> list[str]:
    """The contents of `folder` except the files `names`, the folders around them, and its report."""
    files = set(names)
    folders = {parent.as_posix() for name in names for parent in PurePosixPath(name).parents}
    foreign = []
    for root, subfolders, file_names in os.walk(folder):
        relative = Path(root).relative_to(folder)
        if relative == Path():
            subfolders[:] = [name for name in subfolders if name != REPORT]
        foreign += [(relative / name).as_posix() for name in file_names if (relative / name).as_posix() not in files]
        foreign += [
            f"{(relative / name).as_posix()}/" for name in subfolders if (relative / name).as_posix() not in folders
        ]
        subfolders[:] = [name for name in subfolders if (relative / name).as_posix() in folders]
    return sorted(name for name in foreign if not is_scratch(Path(name)))


def _flush(folder: Path) -> None:
    """Flush all files and folders in `folder` to the disk."""
    for root, _, files in os.walk(folder):
        for name in files:
            with Path(root, name).open("rb") as file:
                os.fsync(file.fileno())
        _flush_folder(Path(root))


def _flush_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows cannot open a folder, and flushes its names itself
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _resolved(path: Path) -> Path:
    """`path` without links: a link at the destination stays, and its target is replaced."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a cycle of links, or a NUL character
        raise RequestError(f"{str(path)!r} is no place to write ({error})", "give another place") from error


def _is_same(first: Path, second: Path) -> bool:
    """Whether both paths are the same folder; equal paths that do not exist count as the same."""
    try:
        return first.samefile(second)
    except OSError:
        return first == second
