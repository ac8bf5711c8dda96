"""A folder that appears whole or not at all: it is written beside its destination, and takes its place at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.staging.interruption import uninterrupted
from turbo_webnn.models.staging.parents import made_parents
from turbo_webnn.models.staging.renaming import exchange, rename_new
from turbo_webnn.models.staging.scratch import is_scratch, remove, scratch_folder

NamedFiles = Callable[[Path], Collection[str] | None]
"""The files that a folder of ours names as its own, as paths relative to it; None for a folder that is not ours."""

REPORT = "report"
"""A folder of ours may hold anything in here: pages and figures that were made from it."""

_SHOWN = 3
"""Foreign files that a refusal names."""

_TRIES = 10
"""How often to look again where other runs write the same destination."""


def require_free(destination: Path, *, overwrite: bool, named: NamedFiles) -> None:
    """Refuse a destination that may not be written or replaced.

    Args:
        destination: the path to write.
        overwrite: whether a folder of ours may be replaced.
        named: what tells a folder of ours.

    Raises:
        RequestError: where something is there and `overwrite` is false, or it is not a folder of ours, holds what that
            folder does not name, or is the working folder.
    """
    path = _resolved(destination)
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise RequestError(f"{destination} exists", "give --overwrite, or another place")
    names = named(path) if path.is_dir() else None
    if names is None:
        raise RequestError(f"{destination} exists and is not ours to replace", "give another place")
    foreign = _foreign(path, names)
    if foreign:
        shown = ", ".join(foreign[:_SHOWN]) + (f" and {len(foreign) - _SHOWN} more" if foreign[_SHOWN:] else "")
        raise RequestError(
            f"{destination} holds {shown}, which --overwrite would delete", "move that away, or give another place"
        )
    if any(_same(path, folder) for folder in (Path.cwd(), *Path.cwd().parents)):
        raise RequestError(f"{destination} is or holds the working folder", "run from another folder")


def require_apart(destination: Path, sources: Iterable[Path]) -> None:
    """Refuse a destination that is, contains or lies in one of `sources`.

    Raises:
        RequestError: names the source.
    """
    path = _resolved(destination)
    for source in sources:
        folder = source.resolve()
        for above, below, relation in ((folder, path, "lies in"), (path, folder, "contains")):
            if any(_same(above, ancestor) for ancestor in (below, *below.parents)):
                relation = "is" if _same(folder, path) else relation
                raise RequestError(f"the output {destination} {relation} the source {source}", "give another place")


@contextmanager
def staged_folder(destination: Path, *, overwrite: bool, named: NamedFiles) -> Iterator[Path]:
    """A folder that takes the place of `destination` when the block ends well, and is gone when it does not.

    A reader finds the old folder whole, or the new one, and never nothing. The bytes are on the disk before the new
    folder takes its place. What a killed run left beside `destination` is removed.

    Args:
        destination: the path of the finished folder.
        overwrite: whether a folder of ours at `destination` may be replaced.
        named: what tells a folder of ours, and the files in it.

    Raises:
        RequestError: as `require_free`, at the beginning and again at the end, or where `destination` cannot be
            written.
    """
    require_free(destination, overwrite=overwrite, named=named)
    path, begun = _resolved(destination), False
    try:
        with made_parents(path), scratch_folder(path) as scratch:
            begun = True
            stage = scratch / "new"
            stage.mkdir()
            yield stage
            _flush(stage)
            with uninterrupted():
                _take_place(stage, path, destination, overwrite=overwrite, named=named)
                _flush_folder(path.parent)
                remove(scratch)
    except OSError as error:
        why = error.strerror or str(error)
        if not begun:
            raise RequestError(f"{destination} cannot be written ({why})", "give another place") from error
        raise RequestError(f"writing {destination} failed ({why})", "free some space or give another place") from error


def _take_place(stage: Path, path: Path, destination: Path, *, overwrite: bool, named: NamedFiles) -> None:
    """Put `stage` at `path`; an old folder of ours is then where `stage` was."""
    for _ in range(_TRIES):
        try:
            rename_new(stage, path)
        except FileExistsError:
            require_free(destination, overwrite=overwrite, named=named)
        else:
            return
        try:
            exchange(stage, path)
        except FileNotFoundError:  # another run took it away
            continue
        foreign = _foreign(stage, named(stage) or ())
        if not foreign:
            return
        exchange(stage, path)  # something came between the look and the exchange
        raise RequestError(f"{destination} holds {foreign[0]}, which was not there before", "give another place")
    raise RequestError(f"{destination} is written by other runs without end", "give another place")


def _foreign(folder: Path, names: Collection[str]) -> list[str]:
    """What `folder` holds besides the files `names`, the folders that they lie in, and its report."""
    files = set(names)
    folders = {parent.as_posix() for name in names for parent in PurePosixPath(name).parents}
    foreign = []
    for root, below, held in os.walk(folder):
        inside = Path(root).relative_to(folder)
        if inside == Path():
            below[:] = [name for name in below if name != REPORT]
        foreign += [(inside / name).as_posix() for name in held if (inside / name).as_posix() not in files]
        foreign += [f"{(inside / name).as_posix()}/" for name in below if (inside / name).as_posix() not in folders]
        below[:] = [name for name in below if (inside / name).as_posix() in folders]
    return sorted(name for name in foreign if not is_scratch(Path(name)))


def _flush(folder: Path) -> None:
    """See to it that all of `folder` is on the disk."""
    for root, _, files in os.walk(folder):
        for name in files:
            with Path(root, name).open("rb") as file:
                os.fsync(file.fileno())
        _flush_folder(Path(root))


def _flush_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows cannot open a folder, and keeps its names safe by itself
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _resolved(path: Path) -> Path:
    """`path` without links: a link at the destination stays, and what it points at is replaced."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a circle of links, a NUL
        raise RequestError(f"{str(path)!r} is no place to write ({error})", "give another place") from error


def _same(one: Path, other: Path) -> bool:
    """Whether both are one folder, by whatever name; equal names of what does not exist count too."""
    try:
        return one.samefile(other)
    except OSError:
        return one == other
