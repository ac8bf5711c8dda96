"""Open a `.safetensors` file with all components of a pipeline, or with one of them, under the original names."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from turbo_webnn.models.checkpoint.safetensors_file import Header, read_header
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.hub import Hub, Snapshot
from turbo_webnn.models.model_card import CARD, license_of
from turbo_webnn.models.source.fetching import Fetch
from turbo_webnn.models.source.file_kinds import FileKind, require_pipeline
from turbo_webnn.models.source.files import fetch_small
from turbo_webnn.models.source.folders import open_folder
from turbo_webnn.models.source.locating import Place, locate
from turbo_webnn.models.source.repositories import open_configs
from turbo_webnn.models.source.source import ELSEWHERE, Source


def open_single_file(
    hub: Hub, place: Place, revision: str | None, config: str | None, *, replaced: Collection[str]
) -> tuple[Source, list[Fetch]]:
    """Open the pipeline in the file `place`, with `ELSEWHERE` for replaced parts, and fetch its configs.

    Args:
        hub: the hub.
        place: a file on this machine or on the hub.
        revision: a branch, tag or commit on the hub.
        config: the source of the configs; None for the published pipeline of the family that the file shows.
        replaced: the subfolders of components that other sources replace.

    Returns:
        The source, and the file to fetch.

    Raises:
        RequestError: where the file is no pipeline that is served, or the configs are of another family.
    """
    snapshot = None if place.repo is None else snapshot_of_file(hub, place, revision)
    path = path_of(place, snapshot)
    header = _header(path, place, snapshot)
    kind = None if header is None else require_pipeline(header.tensors, place.name)
    configs = _open_configs(hub, place, kind, config)
    source = Source(
        place.name,
        configs.folder,
        revision=None if snapshot is None else snapshot.commit,
        license=None if snapshot is None else license_of(snapshot.folder),
        parts=dict.fromkeys(replaced, ELSEWHERE),
        file=path,
        config_source=configs,
    )
    return source, [] if snapshot is None else [Fetch(snapshot, (str(place.file),))]


def snapshot_of_file(hub: Hub, place: Place, revision: str | None = None) -> Snapshot:
    """The commit with the file `place`, of which the model card is fetched; RequestError where it has no such file."""
    snapshot = hub.snapshot(str(place.repo), revision, [CARD])
    if place.file not in snapshot.listing:
        raise RequestError(f"{place.repo} has no {place.file}", "check the name of the file")
    fetch_small(snapshot, [])
    return snapshot


def path_of(place: Place, snapshot: Snapshot | None) -> Path:
    """The path of the file `place` on this machine, where it may not have been fetched to yet."""
    if snapshot is not None:
        return snapshot.folder / str(place.file)
    assert place.path is not None
    return place.path


def _header(path: Path, place: Place, snapshot: Snapshot | None) -> Header | None:
    """The header of the file; None where the hub serves no parts of files."""
    if snapshot is None or path.is_file():
        return read_header(path)
    return snapshot.header(str(place.file))


def _open_configs(hub: Hub, place: Place, kind: FileKind | None, config: str | None) -> Source:
    if config is None and kind is None:
        raise RequestError(f"the header of {place.name} cannot be read on the hub", "download it, or give --config")
    where = locate(str(config or (kind.config if kind else "")), "a diffusers folder")
    if where.is_file:
        raise RequestError(f"--config {config} is a single file", "give a diffusers folder or the hub id of a pipeline")
    configs = open_configs(hub, str(where.repo)) if where.path is None else open_folder(where.name, where.path)
    if kind is not None and configs.family != kind.family:
        raise RequestError(
            f"{place.name} is {kind.what}, and {configs.name} is a {configs.family.pipeline}",
            f"give the configs of a pipeline such as {kind.config}",
        )
    return configs
