"""The place that SOURCE names: a folder, a file, or a repository or a file on the hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.hub import is_repo_id

EMBEDDED = {name: Path(__file__).parents[1] / name for name in ("tiny", "tiny-xl")}
"""Checkpoints that are part of this project."""

SAFETENSORS = ".safetensors"

_PICKLES = (".ckpt", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class Place:
    """Where a source is; it may be missing there.

    Attributes:
        name: as the user wrote it; for a local folder or file without the folders above it.
        path: the folder or file on this machine; None on the hub.
        repo: the repository on the hub.
        file: a file in `repo`; None for the whole repository.
    """

    name: str
    path: Path | None = None
    repo: str | None = None
    file: str | None = None

    @property
    def is_file(self) -> bool:
        """Whether the source is a single file."""
        return self.file is not None or (self.path is not None and not self.path.is_dir())


def locate(source: str, kind: str = "a diffusers folder") -> Place:
    """Find the place that `source` names. An existing folder or file takes precedence over the hub.

    Args:
        source: the name of an embedded checkpoint, a path, OWNER/NAME, or OWNER/NAME/FILE.safetensors.
        kind: what may be given on this machine, for messages.

    Raises:
        RequestError: if `source` is nothing of this, or a file of another kind.
    """
    path = Path(source)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RequestError(f"{source!r} cannot be opened ({reason})", f"give {kind}") from error
    if is_folder:
        return Place(path.resolve().name, path)
    if source in EMBEDDED:
        return Place(source, EMBEDDED[source])
    if is_file:
        _require_safetensors(source)
        return Place(path.name, path)
    if is_repo_id(source) and not source.endswith(SAFETENSORS):
        return Place(source, repo=source)
    owner, _, rest = source.partition("/")
    name, _, file = rest.partition("/")
    if source.endswith((SAFETENSORS, *_PICKLES)) and file and is_repo_id(f"{owner}/{name}"):
        _require_safetensors(source)
        return Place(source, repo=f"{owner}/{name}", file=file)
    missing_file = f"there is no file {source}" if source.endswith(SAFETENSORS) else None
    raise RequestError(
        missing_file or f"{source!r} is no folder and no hub id",
        f"give {kind}, OWNER/NAME on the hub, a {SAFETENSORS} file, or {', '.join(EMBEDDED)}",
    )


def _require_safetensors(source: str) -> None:
    if source.endswith(_PICKLES):
        raise RequestError(
            f"{source} is a pickle, which runs code when it is read", "give the same checkpoint as .safetensors"
        )
    if not source.endswith(SAFETENSORS):
        raise RequestError(f"{source} is no {SAFETENSORS} file", f"give a diffusers folder or a {SAFETENSORS} file")
