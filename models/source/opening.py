"""Open a source: fetch and check its configs first, then fetch its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.family import Family
from turbo_webnn.models.families.registry import REPLACEABLE, family_of
from turbo_webnn.models.hub import Hub, Snapshot, is_repo_id, require_space
from turbo_webnn.models.json_file import read_json
from turbo_webnn.models.model_card import license_of
from turbo_webnn.models.source.files import (
    PART_CONFIG,
    PIPELINE_INDEX,
    component_files,
    fetch_small,
    pipeline_files,
    weights_of,
)
from turbo_webnn.models.source.source import Source
from turbo_webnn.models.source.variants import other_variants

EMBEDDED = {name: Path(__file__).parents[1] / name for name in ("tiny", "tiny-xl")}
"""Checkpoints that are part of this project."""

Judge = Callable[[Source], object]
"""Checks the configs of a source; raises RequestError where the source cannot serve the request."""


@dataclass(frozen=True)
class _Opening:
    """A source whose weights are possibly not fetched yet.

    Attributes:
        source: the source, with its configs.
        snapshot: the snapshot of a source on the hub; None for a folder.
        weights: the files of `snapshot` to fetch.
    """

    source: Source
    snapshot: Snapshot | None = None
    weights: tuple[str, ...] = ()


def open_source(
    source: str,
    *,
    variant: str | None = None,
    revision: str | None = None,
    components: Sequence[str] = (),
    fed: bool = False,
    parts: Mapping[str, str] = MappingProxyType({}),
    judge: Judge = lambda _source: None,
    progress: bool = True,
) -> Source:
    """Open SOURCE: an embedded checkpoint's name, a diffusers folder, or a hub id.

    An existing folder takes precedence over a hub id of the same name. Only the files that an export reads are
    fetched from the hub, into the user's cache. Errors that the configs show are raised before weights are fetched.

    Args:
        source: an embedded checkpoint's name, a diffusers folder, or a hub id.
        variant: the variant of the weights, such as `fp16`; None for the main weights.
        revision: a branch, tag or commit on the hub.
        components: names of the components to fetch; all where empty.
        fed: whether to fetch the components that produce the inputs of `components` too.
        parts: by subfolder ("vae", "safety_checker") other sources. Their components, which `open_part` opens, take
            the place of SOURCE's.
        judge: called after the configs are read and before weights are fetched; raises RequestError to refuse.
        progress: whether huggingface_hub shows its progress bars.

    Raises:
        RequestError: where there is no such source, it is not a diffusers folder, or `judge` refuses it.
    """
    with Hub(progress=progress) as hub:
        openings = {subfolder: _open_part(hub, other, subfolder) for subfolder, other in parts.items()}
        part_sources = {subfolder: opening.source for subfolder, opening in openings.items()}
        name, folder = _locate(source)
        if folder is None:
            opening = _from_hub(hub, name, revision, variant, components, fed=fed, parts=part_sources)
        elif revision is not None:
            raise RequestError(f"{source} is a folder and has no revisions", "drop --revision, or give a hub id")
        else:
            opening = _Opening(_from_folder(name, folder, variant, components, fed=fed, parts=part_sources))
        if any(opened.snapshot is not None for opened in (*openings.values(), opening)):
            opening.source.require_served(opening.source.family.chosen(components, fed=fed))
        judge(opening.source)
        _fetch_weights([*openings.values(), opening])
    return opening.source


def open_part(source: str, subfolder: str, *, progress: bool = True) -> Source:
    """Open one component of SOURCE: a source as for `open_source`, or a folder or hub repository of that component.

    The main weights are read, from the main branch of a hub repository. A component without main weights is read in
    its only variant.

    Raises:
        RequestError: where there is no such source, it has no such component, or the component is not supported.
    """
    with Hub(progress=progress) as hub:
        opening = _open_part(hub, source, subfolder)
        _fetch_weights([opening])
    return opening.source


def _from_folder(
    name: str,
    folder: Path,
    variant: str | None,
    components: Sequence[str],
    *,
    fed: bool,
    parts: Mapping[str, Source],
) -> Source:
    if not (folder / PIPELINE_INDEX).is_file():
        raise RequestError(f"{folder} has no {PIPELINE_INDEX}", "give a diffusers folder")
    source = Source(name, folder, variant, None, license_of(folder), parts)
    family = source.family
    known_names = {component.name for component in (*family.components, *family.optional)}
    read = family.chosen([component for component in components if component in known_names], fed=fed)
    names = {component.subfolder: _names_in(folder / component.subfolder) for component in _all_components(family)}
    return replace(source, variants=_variants(names, family, read, variant, parts))


def _from_hub(
    hub: Hub,
    repo: str,
    revision: str | None,
    variant: str | None,
    components: Sequence[str],
    *,
    fed: bool,
    parts: Mapping[str, Source],
) -> _Opening:
    snapshot = hub.snapshot(repo, revision, [PIPELINE_INDEX])
    if PIPELINE_INDEX not in snapshot.listing:
        raise RequestError(f"{repo} has no {PIPELINE_INDEX}", "give the id of a diffusers pipeline")
    family = family_of(read_json(snapshot.folder / PIPELINE_INDEX), repo)
    read = family.chosen(components, fed=fed)
    names = {component.subfolder: snapshot.names_in(component.subfolder) for component in _all_components(family)}
    variants = _variants(names, family, read, variant, parts)
    variant_of = {component: variants.get(component.subfolder, variant) for component in {*family.components, *read}}
    files = [file for component, name in variant_of.items() for file in component_files(component, name)]
    fetch_small(snapshot, [*pipeline_files(family), *files])
    source = Source(repo, snapshot.folder, variant, snapshot.commit, license_of(snapshot.folder), parts, None, variants)
    own_components = [component for component in read if component.subfolder not in parts]
    weights = {file for component in own_components for file in weights_of(snapshot, component, variant_of[component])}
    return _Opening(source, snapshot, tuple(sorted(weights)))


def _open_part(hub: Hub, source: str, subfolder: str) -> _Opening:
    component = REPLACEABLE[subfolder]
    name, folder = _locate(source)
    if folder is not None:
        part = _part_folder(folder, source, component)
        variants = other_variants({subfolder: _names_in(part)}, [component], None)
        return _Opening(Source(name, part, license=license_of(folder), root=folder, variants=variants))
    snapshot = hub.snapshot(name, None, [PART_CONFIG, f"{subfolder}/{PART_CONFIG}"])
    part = _part_folder(snapshot.folder, source, component)
    located_component = component if part != snapshot.folder else replace(component, subfolder="")
    variants = other_variants({subfolder: snapshot.names_in(located_component.subfolder)}, [component], None)
    variant = variants.get(subfolder)
    fetch_small(snapshot, component_files(located_component, variant))
    component.require_served(read_json(part / PART_CONFIG), str(part / PART_CONFIG))
    license_stated = license_of(snapshot.folder)
    opened_source = Source(name, part, None, snapshot.commit, license_stated, root=snapshot.folder, variants=variants)
    return _Opening(opened_source, snapshot, tuple(weights_of(snapshot, located_component, variant)))


def _part_folder(folder: Path, source: str, component: Component) -> Path:
    """The folder with the config and weights of `component`: its subfolder in a pipeline's folder, or `folder` itself.

    Raises:
        RequestError: where neither has a config.
    """
    for candidate in (folder / component.subfolder, folder):
        if (candidate / PART_CONFIG).is_file():
            return candidate
    raise RequestError(
        f"{source} has no {component.module}: neither {component.subfolder}/{PART_CONFIG} nor {PART_CONFIG}",
        f"give a diffusers folder, the folder of a {component.module}, or a hub id of either",
    )


def _fetch_weights(openings: Sequence[_Opening]) -> None:
    """Fetch the weights of all openings, after a check of the free disk space."""
    remote = [(opening.snapshot, opening.weights) for opening in openings if opening.snapshot is not None]
    require_space(sum(snapshot.missing_bytes(weights) for snapshot, weights in remote))
    for snapshot, weights in remote:
        snapshot.fetch(weights)


def _variants(
    names: Mapping[str, Sequence[str]],
    family: Family,
    read: Sequence[Component],
    variant: str | None,
    parts: Mapping[str, Source],
) -> dict[str, str | None]:
    """By subfolder, the variants other than `variant` of the components `read`, without those of other sources."""
    others = other_variants(names, _all_components(family), variant)
    own = {component.subfolder for component in read} - parts.keys()
    return {subfolder: other_variant for subfolder, other_variant in others.items() if subfolder in own}


def _all_components(family: Family) -> tuple[Component, ...]:
    return (*family.components, *family.optional)


def _names_in(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []  # the reader of the missing file reports it


def _locate(source: str) -> tuple[str, Path | None]:
    """The name of SOURCE and its local folder; the folder is None for a hub id."""
    folder = Path(source)
    try:
        is_folder, is_file = folder.is_dir(), folder.is_file()
    except OSError as error:
        raise RequestError(f"{source} cannot be opened ({error.strerror})", "give a diffusers folder") from error
    if is_folder:
        return folder.resolve().name, folder
    if source in EMBEDDED:
        return source, EMBEDDED[source]
    if is_file:
        raise RequestError(
            f"{source} is a single file",
            "give a diffusers folder: from_single_file(FILE).save_pretrained(FOLDER)",
        )
    if is_repo_id(source):
        return source, None
    raise RequestError(
        f"{source!r} is no folder and no hub id",
        f"give a diffusers folder, OWNER/NAME on the hub, or {', '.join(EMBEDDED)}",
    )
