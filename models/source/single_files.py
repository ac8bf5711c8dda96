"""Open a `.safetensors` file with all components of a pipeline, or with one of them, under the original names."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.hub import Hub
from turbo_webnn.models.source.fetching import Fetch
from turbo_webnn.models.source.file_kinds import FileKind, require_pipeline
from turbo_webnn.models.source.folders import open_folder
from turbo_webnn.models.source.locating import Place, locate
from turbo_webnn.models.source.repositories import open_configs
from turbo_webnn.models.source.source import ELSEWHERE, Source
from turbo_webnn.models.source.weights_files import open_file


def open_single_file(
    hub: Hub, place: Place, revision: str | None, config: str | None, *, replaced: Collection[str]
) -> tuple[Source, Sequence[Fetch]]:
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
    file = open_file(hub, place, revision)
    kind = None if file.header is None else require_pipeline(file.header.tensors, place.name)
    configs = _open_configs(hub, place, kind, config)
    source = Source(
        place.name,
        configs.folder,
        revision=file.revision,
        license=file.license,
        parts=dict.fromkeys(replaced, ELSEWHERE),
        file=file.path,
        config_source=configs,
    )
    return source, file.fetches


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
