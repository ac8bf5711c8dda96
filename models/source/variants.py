"""Which variant of its weights each component is read in: a checkpoint may have some components in one only."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from turbo_webnn.models.component import Component

MAIN = "main"
"""What the weights without a variant are called in messages."""


_SHARD = re.compile(r"-\d{5}-of-\d{5}\b")
"""What the name of one shard holds: it is no weights without its index."""


def variants_of(names: Iterable[str], stem: str) -> set[str | None]:
    """The variants of the weights `stem` that files `names` of one folder hold whole or list in an index.

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
    names: Mapping[str, Collection[str]], components: Iterable[Component], asked: str | None
) -> dict[str, str | None]:
    """Where another variant than the one asked for is taken, because a component has no other choice.

    A component without the variant `asked` gives its main weights, as long as any component has that variant. Where
    none is asked for, a component without main weights gives the one variant that it has.

    Args:
        names: by subfolder, the names of the files there.
        components: all of the checkpoint.
        asked: the variant asked for, or None for main weights.

    Returns:
        By subfolder, the variant taken; nothing for components that have what is asked, or no weights that would do.
    """
    held = {part.subfolder: variants_of(names.get(part.subfolder, ()), part.weights_stem) for part in components}
    if asked is not None:
        anywhere = any(asked in variants for variants in held.values())
        return {place: None for place, has in held.items() if anywhere and asked not in has and None in has}
    return {place: next(iter(has)) for place, has in held.items() if None not in has and len(has) == 1}
