"""Targets: the operations, types and ranks that WebNN back ends support, read from tables."""

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
"""The name of the target that supports what all tables support. It is computed, and has no table."""

_DEFAULTS = {"preferredInputLayout": "nchw"}
"""Preferences, which are no limits. The intersection of tables has the default of the specification."""


Rank = Annotated[int, Meta(ge=0, le=16)]


@dataclass(frozen=True)
class _Ranks:
    """The smallest and the largest rank of a tensor."""

    min: Rank
    max: Rank


@dataclass(frozen=True)
class _Bounds:
    """The types and ranks of one parameter, in the form of MLContext.opSupportLimits()."""

    dataTypes: frozenset[str]  # noqa: N815, the name in the file
    rankRange: _Ranks  # noqa: N815


@dataclass(frozen=True)
class _Table:
    """A file of limits. `limits` contains entries of operations, and other numbers and names."""

    source: str
    verdict: bool
    limits: dict[str, Any]


@dataclass(frozen=True)
class Limit:
    """The types and ranks that one parameter of one WebNN operation supports."""

    types: frozenset[str]  # WebNN data types: "float16", "uint4", …
    ranks: range


@dataclass(frozen=True)
class Target:
    """The operations of one WebNN back end, with the data types and ranks of every parameter.

    A target is read from `tables/<name>.json`, whose `limits` have the form of MLContext.opSupportLimits(). A new
    file there makes a new target. The target `portable` is computed from all tables.

    Attributes:
        name: the name of the target.
        source: the origin of the table.
        verdict: whether the target takes part in verdicts. A table with `"verdict": false` is only for reference (the
            required types of the specification).
        max_tensor_bytes: the size limit of a tensor.
        operations: the limits of each parameter of each operation.
        limits: the limits in the form of the tables.
    """

    name: str
    source: str
    verdict: bool
    max_tensor_bytes: int
    operations: Mapping[str, Mapping[str, Limit]]
    limits: Mapping[str, Any]  # in the form of the tables, for the provider

    @property
    def has_int64(self) -> bool:
        """Whether graphs can have inputs and outputs of int64. Otherwise the provider replaces int64 with int32."""
        return "int64" in self.limits["input"]["dataTypes"]

    def limit(self, operation: str, parameter: str) -> Limit | None:
        """The limit of `parameter`, or None where there is none."""
        return self.operations.get(operation, {}).get(parameter)


@functools.cache
def load_target(name: str) -> Target:
    """Load the target `name`.

    Raises:
        RequestError: where there is no such target, or its file is no table.
    """
    if name not in target_names():
        raise RequestError(f"no WebNN target {name!r}", f"there are {', '.join(target_names())}")
    if name == PORTABLE:
        return portable_target([load_target(table_name) for table_name in _table_names()])
    path = TABLES / f"{name}.json"
    return _target(name, read_json(path, _Table), str(path))


def portable_target(targets: Sequence[Target]) -> Target:
    """Compute the intersection of `targets`: the operations, parameters, types and ranks that all of them support."""
    source = f"the intersection of {', '.join(target.name for target in targets)}"
    limits = functools.reduce(_intersection, (target.limits for target in targets))
    return _target(PORTABLE, _Table(source, verdict=True, limits={**limits, **_DEFAULTS}), PORTABLE)


def target_names() -> list[str]:
    """The names of all targets, sorted."""
    return sorted([*_table_names(), PORTABLE])


def verdict_targets() -> list[Target]:
    """The targets that take part in verdicts, sorted by name. A whole graph is whole on all of them."""
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


def _intersection(first: Any, second: Any, key: str = "") -> Any:
    """Intersect two values of `key` in the form of MLContext.opSupportLimits()."""
    if isinstance(first, Mapping):
        return {name: _intersection(first[name], second[name], name) for name in first if name in second}
    if isinstance(first, list):  # data types
        return [data_type for data_type in first if data_type in second]
    return max(first, second) if key == "min" else min(first, second)


def _is_limit(bounds: object) -> bool:
    return isinstance(bounds, dict) and "dataTypes" in bounds


def _limit(bounds: Any, where: str) -> Limit:
    limit = convert_json(bounds, _Bounds, where)
    return Limit(limit.dataTypes, range(limit.rankRange.min, limit.rankRange.max + 1))
