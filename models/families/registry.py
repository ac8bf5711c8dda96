"""The known families: those of this package, and those of installed packages.

A package adds a family by an entry point of the group `turbo_webnn.families` that names a `Family`. Entry points are
read only if no family of this package fits. Modules of the working folder are never read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.family import Family
from turbo_webnn.models.families.stable_diffusion import STABLE_DIFFUSION
from turbo_webnn.models.families.stable_diffusion_xl import STABLE_DIFFUSION_XL

GROUP = "turbo_webnn.families"

FAMILIES = (STABLE_DIFFUSION, STABLE_DIFFUSION_XL)


def family_named(name: str, where: str) -> Family:
    """The family `name`; RequestError if there is none."""
    family = find_family(name)
    if family is None:
        raise RequestError(f"{where} is of the family {name!r}", f"known are {', '.join(f.name for f in _all())}")
    return family


def find_family(name: str) -> Family | None:
    """The family `name`; None if there is none."""
    return next((family for family in _all() if family.name == name), None)


def family_of(model_index: Mapping[str, Any], where: str) -> Family:
    """The family of a checkpoint, by the pipeline class that its `model_index.json` names.

    Raises:
        RequestError: if no family serves that class.
    """
    pipeline = model_index.get("_class_name")
    for family in _all():
        if family.pipeline == pipeline:
            return family
    served = ", ".join(family.pipeline for family in _all())
    wrong = f"{where} names no pipeline class" if pipeline is None else f"{where} holds a {pipeline}"
    raise RequestError(wrong, f"served are {served}")


def _all() -> Iterator[Family]:
    yield from FAMILIES
    yield from _installed()


@cache
def _installed() -> tuple[Family, ...]:
    """The families of other packages; RequestError names an entry point that is no family."""
    return tuple(_load(entry) for entry in entry_points(group=GROUP))


def _load(entry: Any) -> Family:
    try:
        family = entry.load()
    except Exception as error:  # the import of another package may raise anything
        raise RequestError(
            f"the entry point {entry.name!r} of {GROUP} does not load ({error})", "update or remove its package"
        ) from error
    if not isinstance(family, Family):
        raise RequestError(f"the entry point {entry.name!r} of {GROUP} is no Family", "update or remove its package")
    return family
