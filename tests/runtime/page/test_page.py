"""The page of a verification, as a browser shows it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runtime.conftest import MakeBundle
from tests.runtime.stand import Stand, let_stand_in
from turbo_webnn import verify
from turbo_webnn.models.bundle import Bundle, write_manifest
from turbo_webnn.models.chain import Verdict
from turbo_webnn.models.component import Size
from turbo_webnn.models.source import Source
from turbo_webnn.runtime.page.charts import Bars, Dots, Point, bar_chart, curve, dot_plot
from turbo_webnn.runtime.page.pictures import MAX_FACTOR, comparisons
from turbo_webnn.runtime.verification.cases import cases_of
from turbo_webnn.runtime.verification.parity import compare_pictures
from turbo_webnn.runtime.verification.publish import PAGE
from turbo_webnn.runtime.webnn.browser import library_path, unpacked_chromium

PROMPT = '<script>alert("a cat")</script> & <b>a mat</b>'

VERDICT: Verdict = {
    "whole": False,
    "graphs": [
        {
            "path": "unet/model-0.onnx",
            "whole": False,
            "findings": [],
            "provider": {"spec/disabled": True, "ort/disabled": False},
            "browser": {"whole": False, "browser": "Chromium 153", "reason": "<i>no answer</i>"},
        }
    ],
}


@pytest.fixture
def page(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a miniature bundle that fails, with a verdict on one graph and recipes to choose from."""
    made = make_bundle("fp16", Size(2, 24, 32))
    chains = made.manifest.components
    judged = {**chains, "unet": replace(chains["unet"], webnn=VERDICT)}
    write_manifest(made.folder, replace(made.manifest, components=judged))
    bundle = Bundle.open(made.folder)
    (bundle.folder / "report").mkdir()
    recipes = [
        {"recipe": "fp16", "bytes": 2_500_000_000, "psnr": 60.5},
        {"recipe": "q4<f16>", "bytes": 900_000_000, "psnr": 31},
    ]
    (bundle.folder / "report/quality.json").write_text(json.dumps(recipes))
    let_stand_in(monkeypatch, [Stand(bundle, "unet", 0.5)])
    report = verify(bundle, Source("reference", Path("reference")), prompts=[PROMPT], seeds=(0, 1, 2), provider="cpu")
    assert not report.passed
    return bundle.folder / PAGE


def seen(page: Path) -> dict[str, Any]:
    """What `look.mjs` tells of the page, by view."""
    executable = unpacked_chromium()
    words = ["node", str(Path(__file__).with_name("look.mjs")), str(executable), page.as_uri()]
    environment = {**os.environ, **library_path(executable)}
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    held: dict[str, Any] = json.loads(done.stdout)
    return held


def test_a_browser_shows_it(node_modules: None, page: Path) -> None:
    views = seen(page)
    for view in views.values():
        assert view["told"] == []
        assert view["asked"] == [page.as_uri()]  # nothing but itself
        assert view["overflow"] <= 0
        assert view["unlabelled"] == view["scripts"] == 0
        assert view["title"] == "miniature: parity with PyTorch"
        assert view["badges"] == ["✗ fails"]
        assert view["pictures"] == [[32, 24]] * 18  # six drawings of ten, three pictures each
        assert view["prompts"] == [f"“{PROMPT}”"] * 6
        assert view["marks"] > 20
        assert view["contrast"] >= 4.5  # WCAG 2 AA
    assert views["desk"]["paper"] != views["night"]["paper"]
    assert views["desk"]["headings"] == [
        "Verdicts",
        "Pictures",
        "Beside PyTorch’s own float16",
        "Error by component and step",
        "Graphs and WebNN",
        "Size and quality",
        "Every figure",
        "Measured on",
    ]


def test_what_users_write_stays_text(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<i>no answer" not in text
    assert "&lt;i&gt;no answer&lt;/i&gt;" in text
    assert "q4&lt;f16&gt;" in text
    assert "whole in 1 of 2" in text
    assert "4 more are in the table below" in text
    assert "timestep 1400" in text


def test_the_difference_is_amplified_as_far_as_it_is_said(make_bundle: MakeBundle) -> None:
    (case,) = cases_of(make_bundle(components=("text_encoder", "unet", "vae_decoder")), ["a"], [0], [1])
    flat = np.zeros((1, 3, 16, 16), np.float32)
    off = flat.copy()
    off[0, 1, 3, 4] = 2 * 0.3  # 0.3 of a picture's 0…1
    for ours, factor in ((off, 2), (flat, MAX_FACTOR), (flat + 2, 1)):
        figures = {case: compare_pictures(flat, ours)}
        assert f"difference × {factor}<" in comparisons({case: flat}, {case: ours}, figures)


def test_charts_put_numbers_in_their_places() -> None:
    dots = dot_plot([Dots("unet", (1e-4, 1e-3), (1e-2,)), Dots("vae", (0.0,), ())], "errors")
    assert '<circle class="ours" cx="0.00%"' in dots
    assert '<circle class="ours" cx="50.00%"' in dots
    assert '<circle class="pytorch" cx="100.00%"' in dots
    assert dots.count("<circle") == 3
    bars = bar_chart([Bars("unet", 2e-3, 1e-3, "ratio 2"), Bars("vae", float("nan"), 1e-3, "ratio ?")], "floors")
    assert bars.count('width="100.00%"') == 2
    assert bars.count('width="50.00%"') == 2
    joined = curve([Point("large", 20, 60), Point("small", 10, 30)], "sizes", "MB", "dB")
    assert joined.index("small") < joined.index("large")
    assert '<line class="curve" x1="6.00%" y1="84.00%" x2="94.00%" y2="10.00%"/>' in joined


def test_no_chart_of_nothing() -> None:
    assert dot_plot([Dots("tokenizer", (0.0,), ())], "errors") == ""
