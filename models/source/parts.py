"""Open one component of another source, which replaces that of a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.hub import Hub
from turbo_webnn.models.json_file import read_json
from turbo_webnn.models.model_card import license_of
from turbo_webnn.models.source.fetching import Fetch
from turbo_webnn.models.source.file_kinds import require_component
from turbo_webnn.models.source.files import PART_CONFIG, component_files, fetch_small, weights_of
from turbo_webnn.models.source.folders import names_in
from turbo_webnn.models.source.locating import Place, locate
from turbo_webnn.models.source.source import Source
from turbo_webnn.models.source.variants import other_variants
from turbo_webnn.models.source.weights_files import open_file


def open_part(hub: Hub, given: str, subfolder: str, pipeline: Source) -> tuple[Source, Sequence[Fetch]]:
    """Open the component of `given` that replaces the one in `subfolder` of `pipeline`.

    `given` is a pipeline, or a folder or hub repository of that component: the main weights are read, from the main
    branch of a hub repository. A component without main weights is read in its only variant. Or `given` is a
    `.safetensors` file of a pipeline or of that component, for which the config is that of `pipeline`.

    Returns:
        The source of the component, and the files to fetch.

    Raises:
        RequestError: where there is no such source, it has no such component, or the component is not supported.
    """
    component = next((known for known in pipeline.family.known if known.subfolder == subfolder), None)
    if component is None:
        subfolders = sorted({known.subfolder for known in pipeline.family.known})
        raise RequestError(f"{pipeline.family.pipeline} has no {subfolder!r}", f"it has {', '.join(subfolders)}")
    place = locate(given, f"a diffusers folder, the folder of a {component.module}")
    if place.is_file:
        return _open_file(hub, place, component, pipeline)
    if place.path is not None:
        part = _part_folder(place.path, given, component)
        variants = other_variants({subfolder: names_in(part)}, [component], None)
        return Source(place.name, part, license=license_of(place.path), root=place.path, variants=variants), []
    return _open_repository(hub, place, component)


def _open_file(hub: Hub, place: Place, component: Component, pipeline: Source) -> tuple[Source, Sequence[Fetch]]:
    file = open_file(hub, place)
    if file.header is not None:
        require_component(file.header.tensors, component.prefixes, component.part.noun, place.name)
    folder = pipeline.folder / component.subfolder
    return Source(place.name, folder, revision=file.revision, license=file.license, file=file.path), file.fetches


def _open_repository(hub: Hub, place: Place, component: Component) -> tuple[Source, Sequence[Fetch]]:
    repo, subfolder = str(place.repo), component.subfolder
    snapshot = hub.snapshot(repo, None, [PART_CONFIG, f"{subfolder}/{PART_CONFIG}"])
    part = _part_folder(snapshot.folder, repo, component)
    located = component if part != snapshot.folder else replace(component, subfolder="")
    variants = other_variants({subfolder: snapshot.names_in(located.subfolder)}, [component], None)
    variant = variants.get(subfolder)
    fetch_small(snapshot, component_files(located, variant))
    component.require_served(read_json(part / PART_CONFIG), str(part / PART_CONFIG))
    stated = license_of(snapshot.folder)
    source = Source(repo, part, None, snapshot.commit, stated, root=snapshot.folder, variants=variants)
    return source, [Fetch(snapshot, tuple(weights_of(snapshot, located, variant)))]


def _part_folder(folder: Path, given: str, component: Component) -> Path:
    """The folder with the config and weights of `component`: its subfolder in a pipeline's folder, or `folder` itself.

    Raises:
        RequestError: where neither has a config.
    """
    for candidate in (folder / component.subfolder, folder):
        if (candidate / PART_CONFIG).is_file():
            return candidate
    raise RequestError(
        f"{given} has no {component.module}: neither {component.subfolder}/{PART_CONFIG} nor {PART_CONFIG}",
        f"give a diffusers folder, the folder of a {component.module}, or a hub id of either",
    )
