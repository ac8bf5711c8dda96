"""The fuzzer itself: the same seed gives the same case, and what may never happen is seen."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from turbo_webnn.scripts.fuzz.cases import KINDS, Kind, make_case
from turbo_webnn.scripts.fuzz.outcome import MEMORY_LIMIT_BYTES, TIME_LIMIT_S, Outcome, faults_of
from turbo_webnn.scripts.fuzz.replay import replay
from turbo_webnn.scripts.fuzz.watcher import Watcher

LINE = "turbo-webnn: a is wrong; b is right\n"
TRACEBACK = "Traceback (most recent call last):\n  File\nValueError: no\n"


def outcome(
    status: int = 2, stderr: str = LINE, seconds: float = 1.0, peak_bytes: int = 10**9, left: tuple[str, ...] = ()
) -> Outcome:
    return Outcome(status, seconds, peak_bytes, "", stderr, left)


def fingerprint(folder: Path) -> dict[str, bytes]:
    """What is in `folder`; of links where they lead, of pipes that they are."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = os.fsencode(path.readlink())
        else:
            found[name] = path.read_bytes() if path.is_file() else str(path.stat().st_mode).encode()
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_a_seed_gives_the_same_case(kind: Kind, seed: int, good: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text("{}")
    originals = {"bundle": good, "recipe": recipe}
    cases = [make_case(kind, seed, originals, tmp_path / name) for name in ("one", "two")]
    assert cases[0] == cases[1]
    assert cases[0].damages
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "two")


@pytest.mark.parametrize(
    ("seen", "faults"),
    [
        (outcome(), []),
        (outcome(0, ""), []),
        (outcome(3, TRACEBACK + LINE), ["traceback"]),
        (outcome(3), ["crash"]),
        (outcome(-11, ""), ["crash"]),
        (outcome(1), ["crash"]),
        (outcome(2, f"a warning\n{LINE}"), ["long refusal"]),
        (outcome(2, ""), ["long refusal"]),
        (outcome(2, LINE.replace("wrong", "wr\vong")), ["long refusal"]),
        (outcome(-9, "", seconds=TIME_LIMIT_S), ["slow"]),
        (outcome(-9, "", peak_bytes=MEMORY_LIMIT_BYTES), ["large"]),
        (outcome(0, "foreign code ran"), ["foreign code"]),
        (outcome(left=("python",)), ["process left"]),
    ],
)
def test_faults_of_a_run(seen: Outcome, faults: list[str], tmp_path: Path) -> None:
    assert faults_of(seen, "export", tmp_path / "result", told=False) == faults


def test_a_verdict_is_no_fault(tmp_path: Path) -> None:
    assert faults_of(outcome(1, ""), "check", tmp_path / "result", told=False) == []


def test_damage_that_is_told_must_be_refused(tmp_path: Path) -> None:
    assert faults_of(outcome(0, ""), "check", tmp_path / "result", told=True) == ["damage accepted"]
    assert faults_of(outcome(2), "check", tmp_path / "result", told=True) == []


@pytest.mark.parametrize("name", ["result", "result.png", ".result.turbo-webnn-1234"])
def test_what_a_refused_run_wrote(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("half")
    assert faults_of(outcome(), "export", tmp_path / "result", told=False) == ["half written"]


@pytest.mark.parametrize("number", ["NaN", "-Infinity"])
def test_a_manifest_that_is_not_json(number: str, tmp_path: Path) -> None:
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "manifest.json").write_text(f'{{"scaling_factor": {number}}}')
    assert faults_of(outcome(0, ""), "export", tmp_path / "result", told=False) == ["not JSON"]


def test_moments_in_which_nothing_is_there_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    path.mkdir()
    with Watcher(path) as watcher:
        watcher.watch(on=True)
        while watcher.looks < 100:
            time.sleep(0.001)
        assert watcher.misses == 0
        path.rmdir()
        while not watcher.misses:
            time.sleep(0.001)
        path.mkdir()
        watcher.watch(on=False)
        misses = watcher.misses
        path.rmdir()
        time.sleep(0.01)
        assert watcher.misses == misses


def test_a_kept_case_is_run_again_by_the_real_command(good: Path, tmp_path: Path) -> None:
    shutil.copytree(good, tmp_path / "input")
    weights = tmp_path / "input" / "unet" / "model.onnx.data"
    weights.write_bytes(bytes(weights.stat().st_size))
    words = ["generate", "{input}", "a red circle", "-o", "{output}.png"]
    record = tmp_path / "case.json"
    record.write_text(json.dumps({"command": {"words": words, "told": True}}))
    seen, faults = replay(record)
    assert (seen.status, faults) == (2, [])
    assert "model.onnx.data does not match its sha256" in seen.stderr
    assert seen.peak_bytes > 10_000_000
