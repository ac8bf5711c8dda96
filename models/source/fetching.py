"""Files that have to be fetched from the hub: their headers before they travel, and the files themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from turbo_webnn.models.checkpoint.safetensors_file import Header
from turbo_webnn.models.hub import Snapshot, require_space
from turbo_webnn.models.source.source import Source


@dataclass(frozen=True)
class Fetch:
    """Files of one commit of a repository."""

    snapshot: Snapshot
    files: tuple[str, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The files that are not in the cache."""
        return tuple(file for file in self.files if not (self.snapshot.folder / file).is_file())


def with_headers(source: Source, fetches: Sequence[Fetch]) -> Source | None:
    """`source` with the headers of the files that are not in the cache yet.

    Returns:
        None where all files are in the cache, or where the hub serves no parts of files.
    """
    headers: dict[str, Header] = {}
    for fetch in fetches:
        for file in fetch.missing:
            header = fetch.snapshot.header(file)
            if header is None:
                return None
            headers[str(fetch.snapshot.folder / file)] = header
    return _with_remote(source, headers) if headers else None


def fetch_all(fetches: Sequence[Fetch], notice: Callable[[str], object]) -> None:
    """Fetch all files, after a check of the free disk space and a line about their sizes.

    Raises:
        RequestError: as `Snapshot.fetch`, or where the disk has too little space.
    """
    sizes: dict[str, int] = {}
    for fetch in fetches:
        size = fetch.snapshot.missing_bytes(fetch.missing)
        sizes[fetch.snapshot.repo] = sizes.get(fetch.snapshot.repo, 0) + size
    require_space(sum(sizes.values()))
    origins = [f"{_text(size)} from {repo}" for repo, size in sizes.items() if size]
    if origins:
        notice(f"fetching {', '.join(origins)}")
    for fetch in fetches:
        fetch.snapshot.fetch(fetch.files)


def _text(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _with_remote(source: Source, headers: Mapping[str, Header]) -> Source:
    parts = {subfolder: _with_remote(part, headers) for subfolder, part in source.parts.items()}
    loras = tuple(replace(lora, remote=headers.get(str(lora.path))) for lora in source.loras)
    return replace(source, parts=parts, loras=loras, remote=headers)
