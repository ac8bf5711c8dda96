"""The static rules against the real provider: the same verdict on every graph and every target."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.webnn.corpus import REFUSED, TRAPS, WHOLE, Case
from turbo_webnn.runtime.webnn.check import check_static
from turbo_webnn.runtime.webnn.provider import Provider
from turbo_webnn.runtime.webnn.rules import Effect
from turbo_webnn.runtime.webnn.target import verdict_targets


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
