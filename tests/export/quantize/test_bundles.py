"""Quantised bundles of `tiny`, made by the real command: their pictures, their place on WebNN, their bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import exported, run_command
from turbo_webnn.export.quantize.recipe import RECIPE
from turbo_webnn.models.bundle import Bundle


def weight_bytes(bundle: Path) -> int:
    return sum(file.bytes for file in Bundle.open(bundle).files() if file.path.endswith(".data"))


def graph_bytes(bundle: Path) -> int:
    return sum(file.bytes for chain in Bundle.open(bundle).manifest.components.values() for file in chain.files)


@pytest.mark.parametrize(("name", "psnr"), [("tiny_q8f16", 35), ("tiny_q4f16", 25)])
def test_pictures_are_those_of_float16(tiny_fp16: Path, request: pytest.FixtureRequest, name: str, psnr: int) -> None:
    bundle = request.getfixturevalue(name)
    assert weight_bytes(bundle) < weight_bytes(tiny_fp16) * 0.6
    done = run_command("verify", bundle, "--reference", tiny_fp16, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["reference"]["name"] == "tiny in fp16"
    assert min(row["psnr"] for row in report["rows"] if row["component"] == "pipeline") >= psnr


def test_eight_bits_are_whole_on_every_table(node_modules: None, tiny_q8f16: Path) -> None:
    done = run_command("check", tiny_q8f16, "--json")
    assert done.returncode == 0, done.stdout
    placed = [graph["provider"] for component in json.loads(done.stdout).values() for graph in component["graphs"]]
    assert all(len(each) == 8 and all(each.values()) for each in placed)


def test_four_bits_are_whole_where_the_table_has_them(node_modules: None, tiny_q4f16: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_q4f16, tmp_path / "bundle")
    done = run_command("check", folder)
    assert done.returncode == 1
    assert "whole in 6 of 8: coreml, litert, ort" in done.stdout
    assert "dequantizeLinear.input takes int8, uint8" in done.stdout
    able = [word for name in ("coreml", "litert", "ort") for word in ("--target", name)]
    assert run_command("check", folder, *able).returncode == 0


def test_a_budget_is_met_and_its_recipe_gives_the_same_bytes(tmp_path: Path) -> None:
    words = ("--precision", "q4f16", "--component", "text_encoder")
    bundle = exported(tmp_path / "budget", *words, "--size-budget", "250KB")
    assert 230_000 < graph_bytes(bundle) <= 250_000
    again = exported(tmp_path / "again", *words, "--recipe", str(bundle / RECIPE))
    assert (again / RECIPE).read_bytes() == (bundle / RECIPE).read_bytes()
    for file in Bundle.open(bundle).files():
        assert (again / file.path).read_bytes() == (bundle / file.path).read_bytes(), file.path
    done = run_command("export", "tiny", "-o", tmp_path / "small", *words, "--size-budget", "1KB")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "bytes at the least, more than --size-budget 1000; give" in done.stderr
    assert not (tmp_path / "small").exists()
