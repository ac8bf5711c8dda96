"""What a WebNN back end accepts, read from a table."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from msgspec import Meta

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import convert_json, read_json

TABLES = Path(__file__).parent / "tables"

PORTABLE = "portable"
"""The name of the target that accepts what all tables accept; it has no table of its own."""

_DEFAULTS = {"preferredInputLayout": "nchw"}
"""What is no limit but a preference: the intersection has the specification's default."""


Rank = Annotated[int, Meta(ge=0, le=16)]


@dataclass(frozen=True)
class _Ranks:
    """The least and the greatest rank of a tensor."""

    min: Rank
    max: Rank


@dataclass(frozen=True)
class _Bounds:
    """What one parameter takes, as MLContext.opSupportLimits() writes it."""

    dataTypes: frozenset[str]  # noqa: N815, the file's name of it
    rankRange: _Ranks  # noqa: N815


@dataclass(frozen=True)
class _Table:
    """A file of limits; `limits` has numbers and names besides those of operations."""

    source: str
    verdict: bool
    limits: dict[str, Any]


@dataclass(frozen=True)
class Limit:
    """What one parameter of one WebNN operation takes."""

    types: frozenset[str]  # WebNN data types: "float16", "uint4", …
    ranks: range


@dataclass(frozen=True)
class Target:
    """The operations of one WebNN back end, with the data types and ranks of every parameter.

    Built from `tables/<name>.json`, whose `limits` have the form of MLContext.opSupportLimits(): a new target
    is one new file there. `portable` is computed from all of them. A table that says `"verdict": false` is for
    reading only (the specification's required types) and takes no part in "whole on WebNN".
    """

    name: str
    source: str
    verdict: bool
    max_tensor_bytes: int
    operations: Mapping[str, Mapping[str, Limit]]
    limits: Mapping[str, Any]  # in the form of the tables, for the provider

    @property
    def has_int64(self) -> bool:
        """Whether graphs take and give int64; elsewhere the provider puts int32 in its place."""
        return "int64" in self.limits["input"]["dataTypes"]

    def limit(self, operation: str, parameter: str) -> Limit | None:
        """The limit of `parameter`, or None where there is none."""
        return self.operations.get(operation, {}).get(parameter)


@functools.cache
def load_target(name: str) -> Target:
    """The target called `name`.

    Raises:
        RequestError: where there is no such table, or its file is none.
    """
    if name not in target_names():
        raise RequestError(f"no WebNN target {name!r}", f"there are {', '.join(target_names())}")
    if name == PORTABLE:
        return portable_target([load_target(each) for each in _table_names()])
    path = TABLES / f"{name}.json"
    return _target(name, read_json(path, _Table), str(path))


def portable_target(targets: Sequence[Target]) -> Target:
    """The target that accepts what each of `targets` accepts.

    It lacks the operations and parameters that one of them lacks; types and ranks are those that all have.
    """
    source = f"the intersection of {', '.join(target.name for target in targets)}"
    limits = functools.reduce(_common, (target.limits for target in targets))
    return _target(PORTABLE, _Table(source, verdict=True, limits={**limits, **_DEFAULTS}), PORTABLE)


def target_names() -> list[str]:
    """The names of all targets, sorted."""
    return sorted([*_table_names(), PORTABLE])


def verdict_targets() -> list[Target]:
    """The targets on all of which a whole graph is whole, sorted by name."""
    return [target for target in map(load_target, target_names()) if target.verdict]


def _table_names() -> list[str]:
    return sorted(path.stem for path in TABLES.glob("*.json"))


def _target(name: str, table: _Table, where: str) -> Target:
    operations = {
        operation: {
            parameter: _limit(bounds, f"{where}: {operation}.{parameter}")
            for parameter, bounds in parameters.items()
            if _is_limit(bounds)
        }
        for operation, parameters in table.limits.items()
        if isinstance(parameters, dict)
    }
    return Target(
        name=name,
        source=table.source,
        verdict=table.verdict,
        max_tensor_bytes=convert_json(table.limits.get("maxTensorByteLength"), int, f"{where}: maxTensorByteLength"),
        operations=MappingProxyType(operations),
        limits=MappingProxyType(table.limits),
    )


def _common(one: Any, other: Any, key: str = "") -> Any:
    """What two values of `key` in the form of MLContext.opSupportLimits() both allow."""
    if isinstance(one, Mapping):
        return {name: _common(one[name], other[name], name) for name in one if name in other}
    if isinstance(one, list):  # of data types
        return [each for each in one if each in other]
    return max(one, other) if key == "min" else min(one, other)


def _is_limit(bounds: object) -> bool:
    return isinstance(bounds, dict) and "dataTypes" in bounds


def _limit(bounds: Any, where: str) -> Limit:
    limit = convert_json(bounds, _Bounds, where)
    return Limit(limit.dataTypes, range(limit.rankRange.min, limit.rankRange.max + 1))
