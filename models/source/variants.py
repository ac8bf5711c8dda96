"""The variant of the weights that each component is read in: a component may have fewer variants than others."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from turbo_webnn.models.component import Component

MAIN = "main"
"""The name in messages of the weights without a variant."""

_SHARD = re.compile(r"-\d{5}-of-\d{5}\b")
"""The part of a file name that marks a shard; a shard without its index is not usable."""


def variants_of(names: Iterable[str], stem: str) -> set[str | None]:
    """Find the variants of the weights `stem` among the file `names` of one folder.

    A variant is one whole file, or an index of shards.

    Returns:
        The variants' names, and None for the main weights.
    """
    escaped = re.escape(stem)
    form = re.compile(
        rf"{escaped}(?:\.(?P<whole>[\w-]+))?\.safetensors(?:\.index\.json)?"
        rf"|{escaped}\.safetensors\.index\.(?P<older>[\w-]+)\.json"
    )
    matches = (form.fullmatch(name) for name in names if not _SHARD.search(name))
    return {match["whole"] or match["older"] for match in matches if match is not None}


def other_variants(
    names: Mapping[str, Collection[str]], components: Iterable[Component], requested: str | None
) -> dict[str, str | None]:
    """Choose a replacement for each component that lacks the requested variant.

    A component without the variant `requested` uses its main weights, provided that any component has that variant.
    Where no variant is requested, a component without main weights uses its only variant.

    Args:
        names: by subfolder, the names of the files there.
        components: all components of the checkpoint.
        requested: the requested variant, or None for main weights.

    Returns:
        By subfolder, the replacement. Components that have the requested variant, or no replacement, are left out.
    """
    variants_by_subfolder = {
        component.subfolder: variants_of(names.get(component.subfolder, ()), component.weights_stem)
        for component in components
    }
    if requested is not None:
        anywhere = any(requested in variants for variants in variants_by_subfolder.values())
        return {
            subfolder: None
            for subfolder, variants in variants_by_subfolder.items()
            if anywhere and requested not in variants and None in variants
        }
    return {
        subfolder: next(iter(variants))
        for subfolder, variants in variants_by_subfolder.items()
        if None not in variants and len(variants) == 1
    }
