"""One `.safetensors` file on this machine or on the hub, of which at first only the header is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from turbo_webnn.models.checkpoint.safetensors_file import Header, read_header
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.hub import Hub, Snapshot
from turbo_webnn.models.model_card import CARD, license_of
from turbo_webnn.models.source.fetching import Fetch
from turbo_webnn.models.source.files import fetch_small
from turbo_webnn.models.source.locating import Place


@dataclass(frozen=True)
class WeightsFile:
    """A file, and its origin.

    Attributes:
        path: the file on this machine, where it may not have been fetched to yet.
        header: its header; None where the hub serves no parts of files.
        revision: the commit on the hub, or None.
        license: the licence that the model card on the hub states, or None.
        fetches: the file to fetch, if it is on the hub.
    """

    path: Path
    header: Header | None
    revision: str | None = None
    license: str | None = None
    fetches: tuple[Fetch, ...] = ()


def open_file(hub: Hub, place: Place, revision: str | None = None) -> WeightsFile:
    """Open the file `place`.

    Raises:
        RequestError: where there is no such file, or its header cannot be read.
    """
    if place.path is not None:
        return local_file(place.path)
    return hub_file(snapshot_with_card(hub, str(place.repo), revision), str(place.file))


def local_file(path: Path) -> WeightsFile:
    """Open a file on this machine; RequestError where it cannot be read."""
    return WeightsFile(path, read_header(path))


def hub_file(snapshot: Snapshot, file: str) -> WeightsFile:
    """Open `file` of `snapshot`; RequestError as `open_file`."""
    if file not in snapshot.listing:
        raise RequestError(f"{snapshot.repo} has no {file}", "check the name of the file")
    path = snapshot.folder / file
    header = read_header(path) if path.is_file() else snapshot.header(file)
    return WeightsFile(path, header, snapshot.commit, license_of(snapshot.folder), (Fetch(snapshot, (file,)),))


def snapshot_with_card(hub: Hub, repo: str, revision: str | None = None) -> Snapshot:
    """The commit of a repository, of which the model card is fetched."""
    snapshot = hub.snapshot(repo, revision, [CARD])
    fetch_small(snapshot, [])
    return snapshot
