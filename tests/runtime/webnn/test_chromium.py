"""A real browser: what it builds and computes, and that nothing it does can hang us."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.runtime.webnn.corpus import REFUSED, TRAPS, WHOLE, Case, sharded_product
from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.webnn.browser import unpacked_chromium
from turbo_webnn.runtime.webnn.chromium import SCRIPT, Chromium
from turbo_webnn.runtime.webnn.target import load_target


def _case(cases: list[Case], name: str) -> Case:
    return next(case for case in cases if case.name == name)


def test_a_whole_graph_runs_and_matches_the_cpu(chromium: Chromium, tmp_path: Path) -> None:
    path = _case(WHOLE, "group norm written out").save(tmp_path)
    feeds = {"x": np.random.default_rng(0).standard_normal((1, 8, 4, 4)).astype(np.float16)}
    verdict = chromium.run(path, feeds, limit_s=60)
    assert verdict.whole, verdict.reason
    assert (verdict.nodes, verdict.placed, verdict.partitions) == (5, 5, 1)
    assert verdict.browser.startswith("153.")
    assert verdict.onnxruntime == "1.30.0"
    assert verdict.create_ms
    assert verdict.run_ms
    (expected,) = onnxruntime.InferenceSession(path).run(None, feeds)
    assert verdict.outputs["y"].dtype == np.float16
    np.testing.assert_allclose(verdict.outputs["y"], expected, atol=1e-2)


def test_weights_come_in_several_shards(chromium: Chromium, tmp_path: Path) -> None:
    path = sharded_product(tmp_path, side=64)
    feeds = {"x": np.ones((1, 64), np.float16)}
    verdict = chromium.run(path, feeds, limit_s=60)
    assert verdict.whole, verdict.reason
    (expected,) = onnxruntime.InferenceSession(path).run(None, feeds)
    assert np.any(expected)
    np.testing.assert_allclose(verdict.outputs["z"], expected, rtol=1e-2)


def test_a_fall_back_is_no_success(chromium: Chromium, tmp_path: Path) -> None:
    path = _case(REFUSED, "unknown operator").save(tmp_path)
    verdict = chromium.run(path, {"x": np.zeros(4, np.float32)}, limit_s=60)
    assert not verdict.whole
    assert verdict.reason == "Acos Acos_0: the provider has no WebNN operation for it"
    assert verdict.outputs == {}


def test_what_build_refuses_is_a_verdict(chromium: Chromium, tmp_path: Path) -> None:
    path = _case(TRAPS, "dilated pooling").save(tmp_path)
    verdict = chromium.run(path, {"x": np.zeros((1, 4, 8, 8), np.float32)}, limit_s=60)
    assert not verdict.whole
    assert "doesn't support dilations" in verdict.reason


def test_a_browser_that_is_late_is_a_verdict_and_is_replaced(chromium: Chromium, tmp_path: Path) -> None:
    path = WHOLE[0].save(tmp_path)
    feeds = {"x": np.zeros((1, 4), np.float16)}
    assert chromium.run(path, feeds, limit_s=0.01).reason == "no answer within 0.01 s"
    assert chromium.run(path, feeds, limit_s=60).whole


def test_a_browser_that_dies_is_a_verdict_and_is_replaced(chromium: Chromium, tmp_path: Path) -> None:
    path = WHOLE[0].save(tmp_path)
    feeds = {"x": np.zeros((1, 4), np.float16)}
    assert chromium.run(path, feeds, limit_s=60).whole
    assert chromium.pid is not None
    os.kill(chromium.pid, signal.SIGKILL)
    assert chromium.run(path, feeds, limit_s=60).reason == "the process has ended"
    assert chromium.run(path, feeds, limit_s=60).whole


def test_the_litert_table_is_what_the_browser_says(chromium: Chromium) -> None:
    command = ["node", str(SCRIPT.with_name("limits.mjs")), str(unpacked_chromium())]
    measured = subprocess.check_output(command, text=True, timeout=60)
    assert json.loads(measured)["limits"] == load_target("litert").limits


def test_other_inputs_are_a_wrong_request(chromium: Chromium, tmp_path: Path) -> None:
    path = WHOLE[0].save(tmp_path)
    with pytest.raises(RequestError, match="does not take z; give x"):
        chromium.run(path, {"z": np.zeros(1, np.float16)})
    with pytest.raises(RequestError, match="x is float64; a browser takes float32, float16"):
        chromium.run(path, {"x": np.zeros((1, 4))})
