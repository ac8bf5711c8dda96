"""Verdicts on whole bundles: graph by graph, in a real browser too, and kept in the manifest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import run_command
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.runtime.verification.parity import BROWSER_GATES, compare
from turbo_webnn.runtime.webnn.bundle_check import BrowserCheck, check_bundle
from turbo_webnn.runtime.webnn.check import BrowserVerdict


@pytest.mark.parametrize("name", ["tiny_fp16", "tiny_chains"])
def test_every_graph_is_whole_and_runs_in_a_real_browser(
    node_modules: None, request: pytest.FixtureRequest, name: str
) -> None:
    folder = request.getfixturevalue(name)
    done = run_command("check", folder, "--browser", "--limit", "120", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    components = Bundle.open(folder).manifest.components
    assert told == {component: chain.webnn for component, chain in components.items()}
    for component, chain in components.items():
        graphs = told[component]["graphs"]
        assert [graph["path"] for graph in graphs] == [graph.path for graph in chain.graphs]
        for graph in graphs:
            assert graph["whole"]
            assert len(graph["provider"]) == 8
            browser = graph["browser"]
            assert browser["browser"].startswith("Chromium 153.")
            assert browser["onnxruntime_web"] == "1.30.0"
            assert browser["create_ms"] > 0
            assert browser["relative_l2"] <= 1e-2


def test_a_browser_that_is_late_is_a_verdict(node_modules: None, tiny_fp16: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_fp16, tmp_path / "bundle")
    checks = check_bundle(Bundle.open(folder), provider=False, browser_limit_s=0.01)
    assert not any(check.passed for check in checks)
    late = "no answer within 0.01 s"
    assert all(graph.browser and graph.browser.reason == late for check in checks for graph in check.graphs)
    kept = Bundle.open(folder).chain("unet").webnn
    assert kept is not None
    assert kept["whole"] is False
    browser = kept["graphs"][0]["browser"]
    assert browser is not None
    assert browser["reason"] == late
    assert "NOT in Chromium 153." in checks[0].to_text()


def verdict(**changes: Any) -> BrowserVerdict:
    held: dict[str, Any] = {
        "model": Path("model.onnx"), "whole": True, "reason": "", "browser": "153", "onnxruntime": "1.30.0",
        "device": "cpu", "accelerated": None, "optimization": "disabled", "nodes": 1, "placed": 1, "partitions": 1,
        "refusals": (), "create_ms": 1.0, "run_ms": 1.0, "outputs": {},
    }  # fmt: skip
    return BrowserVerdict(**(held | changes))


REFERENCE = np.linspace(1, 2, 100, dtype=np.float32)


@pytest.mark.parametrize(
    ("error", "passed", "reason"),
    [
        (9e-3, True, ""),
        (2e-2, False, "outputs are not onnxruntime's: relative L2 2.00e-02, the gate is 0.01"),
        (np.nan, False, "outputs are not onnxruntime's: not finite, the gate is 0.01"),
    ],
)
def test_outputs_must_be_those_of_onnxruntime(error: float, passed: bool, reason: str) -> None:
    figures = {"right": compare(REFERENCE, REFERENCE), "y": compare(REFERENCE, REFERENCE * np.float32(1 + error))}
    check = BrowserCheck(verdict(), figures, BROWSER_GATES["fp16"])
    assert (check.passed, check.reason) == (passed, reason)
    json.dumps(check.to_json(), allow_nan=False)


def test_right_outputs_do_not_excuse_a_fall_back() -> None:
    figures = {"y": compare(REFERENCE, REFERENCE)}
    check = BrowserCheck(verdict(whole=False, reason="3 nodes on CPU"), figures, BROWSER_GATES["fp16"])
    assert (check.passed, check.reason) == (False, "3 nodes on CPU")


def test_check_by_the_rules_needs_no_node(tiny_fp16: Path) -> None:
    done = run_command("check", tiny_fp16, "--rules-only", "--json")
    assert done.returncode == 0, done.stdout
    assert all(component["whole"] for component in json.loads(done.stdout).values())
