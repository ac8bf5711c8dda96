"""The tables, and what is made of them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.refusal import refusal
from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.webnn import target
from turbo_webnn.runtime.webnn.lowering import LOWERINGS
from turbo_webnn.runtime.webnn.target import Limit, load_target, portable_target, target_names, verdict_targets


def test_four_targets_give_verdicts() -> None:
    assert [target.name for target in verdict_targets()] == ["coreml", "litert", "ort", "portable"]
    assert "spec" in target_names()


def test_limits_have_types_and_ranks() -> None:
    gather = load_target("portable").limit("gather", "indices")
    assert gather == Limit(types=frozenset({"int32"}), ranks=range(6))
    assert load_target("ort").limit("gru", "input") is None


def test_portable_is_what_all_others_accept() -> None:
    others = [load_target(name).operations for name in target_names() if name != "portable"]
    common = set.intersection(*(set(operations) for operations in others))
    assert load_target("portable").operations == {
        operation: {
            parameter: _intersection([operations[operation][parameter] for operations in others])
            for parameter in others[0][operation]
        }
        for operation in common
    }


WRITTEN = "d2f8b0d9b50ac426435859029e6699070c19f177754a89dee5a6d325f5dd3de4"
"""The sha256 of portable's limits as a file had them that was written by hand, keys and types sorted."""


def test_portable_is_what_was_written_by_hand() -> None:
    computed = portable_target([load_target(name) for name in ("coreml", "litert", "ort", "spec")])
    text = json.dumps(_sorted(computed.limits), sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == WRITTEN


def _sorted(limits: Any) -> Any:
    """`limits` with their lists of types sorted."""
    if isinstance(limits, Mapping):
        return {name: _sorted(value) for name, value in limits.items()}
    return sorted(limits) if isinstance(limits, list) else limits


def test_a_table_that_accepts_less_narrows_portable() -> None:
    least = {
        "maxTensorByteLength": 7,
        "abs": {"input": {"dataTypes": ["int8", "int32"], "rankRange": {"min": 2, "max": 9}}},
    }
    small = dataclasses.replace(load_target("ort"), limits=least)
    portable = portable_target([load_target("ort"), small])
    assert portable.max_tensor_bytes == 7
    assert portable.operations == {"abs": {"input": Limit(frozenset({"int8", "int32"}), range(2, 9))}}


def _intersection(limits: list[Limit]) -> Limit:
    types = frozenset.intersection(*(limit.types for limit in limits))
    first, last = max(limit.ranks[0] for limit in limits), min(limit.ranks[-1] for limit in limits)
    return Limit(types, range(first, last + 1))


def test_lowerings_name_operations_of_the_specification() -> None:
    spec = load_target("spec").operations
    assert {operation for lowering in LOWERINGS.values() for operation in lowering.operations} <= spec.keys()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{}", "missing required field source"),
        ('{"source": "", "verdict": true, "limits": []}', "Expected object, got array - at limits"),
        ('{"source": "", "verdict": true, "limits": {}}', "maxTensorByteLength is not of the right form"),
        (
            '{"source": "", "verdict": true, "limits": {"abs": {"input": {"dataTypes": ["int8"]}}}}',
            "abs.input is not of the right form (Object missing required field rankRange)",
        ),
    ],
)
def test_a_table_of_another_form(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, wrong: str) -> None:
    monkeypatch.setattr(target, "TABLES", tmp_path)
    (tmp_path / "mine.json").write_text(text)
    assert wrong in refusal(load_target.__wrapped__, "mine")


@pytest.mark.parametrize("name", ["../tables/ort", "a\0b", ""])
def test_a_name_that_is_no_files(name: str) -> None:
    assert "there are coreml, litert" in refusal(load_target, name)


def test_an_unknown_target_names_those_that_are_there() -> None:
    with pytest.raises(RequestError, match=r"no WebNN target 'vision'; there are coreml, litert"):
        load_target("vision")
