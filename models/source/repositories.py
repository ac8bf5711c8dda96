"""Open a diffusers pipeline on the hub."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.registry import family_of
from turbo_webnn.models.hub import Hub, Snapshot
from turbo_webnn.models.json_file import read_json
from turbo_webnn.models.model_card import license_of
from turbo_webnn.models.source.fetching import Fetch
from turbo_webnn.models.source.files import PIPELINE_INDEX, component_files, fetch_small, pipeline_files, weights_of
from turbo_webnn.models.source.folders import chosen_variants
from turbo_webnn.models.source.source import ELSEWHERE, Source


def open_repository(
    hub: Hub,
    repo: str,
    revision: str | None,
    variant: str | None,
    components: Sequence[str],
    *,
    fed: bool,
    replaced: Collection[str],
) -> tuple[Source, list[Fetch]]:
    """Open the pipeline `repo`, with `ELSEWHERE` for replaced parts, and fetch its configs and tokenizers.

    The other arguments are those of `folders.open_folder`.

    Returns:
        The source, and the weights to fetch.

    Raises:
        RequestError: where the repository is no pipeline that is served, or lacks weights.
    """
    snapshot = _pipeline(hub, repo, revision)
    family = family_of(read_json(snapshot.folder / PIPELINE_INDEX), repo)
    read = family.chosen(components, fed=fed)
    names = {component.subfolder: snapshot.names_in(component.subfolder) for component in family.known}
    variants = chosen_variants(names, family, read, variant, replaced)
    variant_of = {component: variants.get(component.subfolder, variant) for component in {*family.components, *read}}
    files = [file for component, name in variant_of.items() for file in component_files(component, name)]
    fetch_small(snapshot, [*pipeline_files(family), *files])
    others = dict.fromkeys(replaced, ELSEWHERE)
    source = Source(
        repo, snapshot.folder, variant, snapshot.commit, license_of(snapshot.folder), others, variants=variants
    )
    own = [component for component in read if component.subfolder not in replaced]
    weights = {file for component in own for file in weights_of(snapshot, component, variant_of[component])}
    return source, [Fetch(snapshot, tuple(sorted(weights)))]


def open_configs(hub: Hub, repo: str) -> Source:
    """Open the configs and tokenizers of the pipeline `repo`, without its weights.

    Raises:
        RequestError: where the repository is no pipeline that is served.
    """
    snapshot = _pipeline(hub, repo, None)
    family = family_of(read_json(snapshot.folder / PIPELINE_INDEX), repo)
    configs = [f"{component.subfolder}/config.json" for component in family.components]
    fetch_small(snapshot, [*pipeline_files(family), *configs])
    return Source(repo, snapshot.folder, None, snapshot.commit, license_of(snapshot.folder))


def _pipeline(hub: Hub, repo: str, revision: str | None) -> Snapshot:
    snapshot = hub.snapshot(repo, revision, [PIPELINE_INDEX])
    if PIPELINE_INDEX not in snapshot.listing:
        raise RequestError(f"{repo} has no {PIPELINE_INDEX}", "give the id of a diffusers pipeline")
    return snapshot
