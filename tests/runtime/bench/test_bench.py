from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest

from tests.refusal import refusal
from tests.runtime.conftest import MakeBundle
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.runtime.bench.bench import bench
from turbo_webnn.runtime.bench.example import arrays, input_specs
from turbo_webnn.runtime.bench.process import SideProcess
from turbo_webnn.runtime.bench.protocol import OnnxruntimeOptions
from turbo_webnn.runtime.bench.report import OURS, Task
from turbo_webnn.runtime.ort.settings import Settings
from turbo_webnn.scripts.tables import bench_table

CPU = Settings("cpu", threads=1)


def test_a_bundle_beside_graphs_of_another_exporter(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle = make_bundle("fp16")
    other = tmp_path / "other"
    for name in ("unet", "vae_decoder"):
        (other / name).mkdir(parents=True)
        model = onnx.load(bundle.path(bundle.chain(name).graphs[0]))
        for value in model.graph.input:
            if value.name == "timestep":  # a scalar, as optimum has it
                del value.type.tensor_type.shape.dim[:]
        onnx.save(model, other / name / "model.onnx")
    told: list[tuple[str, int, int]] = []
    report = bench(bundle, CPU, graphs=other, rounds=3, warmup=1, progress=lambda *done: told.append(done))
    sides = {str(task): list(latencies) for task, latencies in report.latencies.items()}
    assert sides == {
        "text_encoder": [OURS],
        "unet": [OURS, "other/"],
        "vae_decoder": [OURS, "other/"],
        "vae_encoder": [OURS],
        "1 step": [OURS],
        "4 steps": [OURS],
    }
    rows = report.to_json()["rows"]
    assert {row["rounds"] for row in rows} == {3}
    assert all(0 < row["p10_ms"] <= row["median_ms"] <= row["p90_ms"] for row in rows)
    assert all((row["ratio"] is None) == (row["side"] == OURS) for row in rows)
    assert all((row["pictures_per_s"] is None) == ("step" not in row["task"]) for row in rows)
    assert {side: held.host is not None for side, held in report.memory.items()} == {OURS: True, "other/": True}
    assert told[:5] == [("text_encoder", done, 4) for done in range(5)]
    table = bench_table(report).splitlines()
    assert table[0].endswith("fp16 on cpu, 1 × 24×16")
    assert sum(line.startswith("unet") for line in table) == 1
    assert sum(line.startswith("peak memory") for line in table) == 2


def test_only_what_is_asked_for(make_bundle: MakeBundle) -> None:
    report = bench(make_bundle(), CPU, components=("unet",), rounds=1, warmup=0)
    assert list(report.latencies) == [Task(component="unet")]
    report = bench(make_bundle(), CPU, components=("unet",), steps=(2,), rounds=1, warmup=0)
    assert list(report.latencies) == [Task(component="unet"), Task(steps=2)]


def test_pytorch_computes_beside_it(tiny_fp32: Path) -> None:
    report = bench(
        Bundle.open(tiny_fp32),
        CPU,
        reference={"name": "tiny", "variant": None, "revision": None},
        compiled=False,
        rounds=1,
        warmup=0,
    )
    assert all(list(sides) == [OURS, "PyTorch"] for sides in report.latencies.values())
    assert [str(task) for task in report.latencies][-2:] == ["1 step", "4 steps"]
    memory = report.memory["PyTorch"].host
    assert memory is not None
    assert memory > 10**8  # PyTorch's own libraries are as large


def test_a_request_that_cannot_be_served(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle = make_bundle(components=("text_encoder", "unet", "vae_encoder"))
    assert "0 rounds" in refusal(bench, bundle, CPU, rounds=0)
    assert "has no vae_decoder" in refusal(bench, bundle, CPU, components=("vae_decoder",))
    assert "has no vae_decoder" in refusal(bench, bundle, CPU, steps=(1,))
    assert "no schedule of 3 steps" in refusal(bench, bundle, CPU, steps=(3,))
    assert "empty/: " in refusal(bench, bundle, CPU, graphs=_made(tmp_path / "empty"), components=("unet",))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_graphs_of_another_model_are_told(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle = make_bundle()
    wrong = tmp_path / "wrong" / "unet"
    wrong.mkdir(parents=True)
    shutil.copy(bundle.path(bundle.chain("vae_decoder").graphs[0]), wrong / "model.onnx")
    said = refusal(bench, bundle, CPU, graphs=wrong.parent, components=("unet",), rounds=1)
    assert "asks for latent_sample" in said
    assert "unet is told sample, timestep, encoder_hidden_states" in said


def test_a_side_that_dies_is_told_with_its_last_words() -> None:
    with SideProcess("other", "none of the kinds", OnnxruntimeOptions(Path(), CPU)) as side:
        assert "other ended with status 1 (KeyError" in refusal(side.wait_until_ready)


@pytest.mark.parametrize("component", ["text_encoder", "unet"])
def test_all_sides_take_the_same_example(make_bundle: MakeBundle, component: str) -> None:
    chain = make_bundle("fp16").chain(component)
    first, second = (arrays(input_specs(chain)) for _ in range(2))
    assert {name: array.tobytes() for name, array in first.items()} == {n: a.tobytes() for n, a in second.items()}
    assert {name: array.shape for name, array in first.items()} == {t.name: t.shape for t in chain.inputs}
