"""The tables, and what is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.refusal import refusal
from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.webnn import target
from turbo_webnn.runtime.webnn.lowering import LOWERINGS
from turbo_webnn.runtime.webnn.target import Limit, load_target, target_names, verdict_targets


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
