"""Open a diffusers folder on this machine."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.family import Family
from turbo_webnn.models.model_card import license_of
from turbo_webnn.models.source.files import PIPELINE_INDEX
from turbo_webnn.models.source.source import ELSEWHERE, Source
from turbo_webnn.models.source.variants import other_variants


def open_folder(
    name: str,
    folder: Path,
    variant: str | None = None,
    components: Sequence[str] = (),
    *,
    fed: bool = False,
    replaced: Collection[str] = (),
) -> Source:
    """Open the diffusers folder `folder`, with `ELSEWHERE` for the parts that are replaced.

    Args:
        name: the name of the source.
        folder: has a `model_index.json`.
        variant: the variant of the weights.
        components: names of the components to read; all where empty.
        fed: whether the components that produce inputs of `components` are read too.
        replaced: the subfolders of components that other sources replace.

    Raises:
        RequestError: where the folder is no pipeline, or one that is not served.
    """
    if not (folder / PIPELINE_INDEX).is_file():
        raise RequestError(f"{folder} has no {PIPELINE_INDEX}", "give a diffusers folder")
    source = Source(name, folder, variant, None, license_of(folder), dict.fromkeys(replaced, ELSEWHERE))
    family = source.family
    known_names = {component.name for component in family.known}
    read = family.chosen([component for component in components if component in known_names], fed=fed)
    names = {component.subfolder: names_in(folder / component.subfolder) for component in family.known}
    return replace(source, variants=chosen_variants(names, family, read, variant, replaced))


def chosen_variants(
    names: Mapping[str, Sequence[str]],
    family: Family,
    read: Sequence[Component],
    variant: str | None,
    replaced: Collection[str],
) -> dict[str, str | None]:
    """By subfolder, the variants other than `variant` of the components `read`, without those of other sources."""
    others = other_variants(names, family.known, variant)
    own = {component.subfolder for component in read} - frozenset(replaced)
    return {subfolder: other_variant for subfolder, other_variant in others.items() if subfolder in own}


def names_in(folder: Path) -> list[str]:
    """The names of the files in `folder`; none where it cannot be read."""
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []  # the reader of the missing file reports it
