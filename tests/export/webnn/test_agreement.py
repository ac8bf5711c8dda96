"""The static rules against the real provider: the same verdict on every graph and every target."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.webnn.check import check_static
from export.webnn.provider import Provider
from export.webnn.rules import Effect
from export.webnn.target import verdict_targets
from tests.export.webnn.corpus import REFUSED, TRAPS, WHOLE, Case


@pytest.mark.parametrize("case", WHOLE + REFUSED + TRAPS, ids=lambda case: case.name)
def test_rules_agree_with_the_provider(case: Case, provider: Provider, tmp_path: Path) -> None:
    path = case.save(tmp_path)
    targets = verdict_targets()
    placed = {verdict.target: verdict.whole for verdict in provider.place(path, targets, ["disabled"])}
    ruled = {
        target.name: all(found.effect is not Effect.OFF_WEBNN for found in check_static(path, target))
        for target in targets
    }
    assert ruled == placed
    assert placed["portable"] == (case not in REFUSED)
