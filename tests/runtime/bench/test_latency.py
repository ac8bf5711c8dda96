from __future__ import annotations

import numpy as np
import pytest

from turbo_webnn.models.component import Size
from turbo_webnn.runtime.bench.latency import Latency
from turbo_webnn.runtime.bench.report import OURS, BenchReport, Memory, Task


def test_the_figures_are_numpy_s_percentiles() -> None:
    seconds = np.random.default_rng(1).exponential(size=23)
    latency = Latency(tuple(seconds))
    figures = [latency.p10, latency.median, latency.p90]
    np.testing.assert_allclose(figures, np.percentile(seconds, [10, 50, 90]), rtol=1e-12)


def test_one_round_is_all_its_figures() -> None:
    assert Latency((0.25,)).to_json() == {"median_ms": 250, "p10_ms": 250, "p90_ms": 250}


def test_a_ratio_is_of_the_same_rounds() -> None:
    ours, its = Latency((1.0, 10.0, 3.0)), Latency((2.0, 20.0, 4.0))  # the second round was disturbed
    assert ours.ratio(its) == 0.5
    assert its.ratio(ours) == 2.0
    with pytest.raises(ValueError, match="shorter"):
        ours.ratio(Latency((1.0,)))


def test_a_report_in_json() -> None:
    unet, drawing = Task(component="unet"), Task(steps=1)
    report = BenchReport(
        bundle="bundle",
        size=Size(4, 64, 128),
        precision="fp16",
        provider="cpu",
        settings={"threads": None},
        latencies={
            unet: {OURS: Latency((0.1, 0.3)), "PyTorch": Latency((0.4, 0.4))},
            drawing: {OURS: Latency((2.0, 2.0))},
        },
        memory={OURS: Memory(1000, None)},
    )
    rows = report.to_json()["rows"]
    assert [(row["task"], row["side"], row["rounds"], row["median_ms"]) for row in rows] == [
        ("unet", OURS, 2, 200.0),
        ("unet", "PyTorch", 2, 400.0),
        ("1 step", OURS, 2, 2000.0),
    ]
    assert [row["ratio"] for row in rows] == [None, 0.5, None]
    assert [row["pictures_per_s"] for row in rows] == [None, None, 2.0]
    assert report.to_json()["peak_bytes"] == {OURS: {"host": 1000, "device": None}}
    assert (report.to_json()["batch"], report.to_json()["height"], report.to_json()["width"]) == (4, 64, 128)
