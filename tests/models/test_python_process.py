"""Processes of ours: which modules they take, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import run_command
from turbo_webnn.models.python_process import PythonProcess

IMPORTER = str(Path(__file__).parent / "on_path")
"""A folder on the path of the processes that say what they could import."""

COMMAND = Path(sys.executable).with_name("turbo-webnn")

TRAPS = (
    # of the standard library, of libraries, optional ones of libraries, and ours
    "secrets", "json", "random", "statistics", "numpy", "torch", "onnx", "onnxruntime", "diffusers", "safetensors",
    "click", "rich", "msgspec", "yaml", "tokenizers", "xformers", "flash_attn", "accelerate", "peft", "sitecustomize",
    "usercustomize", "export", "models", "runtime", "scripts", "turbo_webnn",
)  # fmt: skip


@pytest.fixture
def trapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder whose modules leave their name in `sprung` when they are imported; it is a checkpoint too."""
    folder = tmp_path / "work"
    folder.mkdir()
    code = f"import pathlib; pathlib.Path({str(tmp_path / 'sprung')!r}).open('a').write(__name__ + '\\n')\n"
    for name in TRAPS:
        (folder / f"{name}.py").write_text(code)
    for package in ("onnxruntime-web", "playwright-core"):
        fake = folder / "node_modules" / package
        fake.mkdir(parents=True)
        (fake / "package.json").write_text(json.dumps({"name": package, "version": "1.30.0", "main": "index.js"}))
        (fake / "index.js").write_text(f"require('fs').appendFileSync({str(tmp_path / 'sprung')!r}, 'npm\\n');")
    monkeypatch.chdir(folder)
    return folder


def sprung(folder: Path) -> str:
    path = folder.parent / "sprung"
    return path.read_text() if path.exists() else ""


PATHS = [None, "", ".", f"{os.pathsep}{os.sep}nowhere", "WORK"]
"""What users have as PYTHONPATH: the working folder by some name, or nothing."""


@pytest.mark.parametrize("path", PATHS)
def test_a_process_takes_no_module_from_the_working_folder(
    trapped: Path, monkeypatch: pytest.MonkeyPatch, path: str | None
) -> None:
    paths = [IMPORTER] if path is None else [path.replace("WORK", str(trapped)), IMPORTER]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setattr(sys, "path", ["", ".", str(trapped), trapped, b"bytes", None, 3, *sys.path])
    with PythonProcess("importer", *TRAPS) as process:
        found = json.loads(process.output.readline() or "{}")
        assert found, process.complaints()
    assert sprung(trapped) == ""
    assert not [name for name, origin in found.items() if origin and Path(origin).is_relative_to(trapped)]
    assert all(found[name] for name in ("secrets", "torch", "click", "turbo_webnn"))


def test_modules_of_a_checkpoint_are_avoided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoint" / "code").mkdir(parents=True)
    (tmp_path / "checkpoint" / "code" / "xformers.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "checkpoint" / "code"), IMPORTER]))
    for avoid, origin in (([], "xformers.py"), ([tmp_path / "checkpoint"], None)):
        with PythonProcess("importer", "xformers", avoid=avoid) as process:
            found = json.loads(process.output.readline())["xformers"]
        assert (found and Path(found).name) == origin


def run(*words: str | Path, status: int = 0) -> None:
    done = subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stdout + done.stderr


def test_no_verb_takes_a_module_from_the_working_folder(node_modules: None, trapped: Path, tiny_fp16: Path) -> None:
    one = ("--component", "text_encoder")
    run("export", "tiny", "-o", "../out", "--precision", "fp32", *one)
    run("bench", "../out", *one, "--reference", "tiny", "--no-compile", "--rounds", "1", "--warmup", "0")
    run("check", "../out", "--target", "ort")
    run("check", "../out", "--rules-only")
    run("verify", "../out", "--reference", "tiny", "--steps", "1")
    run("generate", tiny_fp16, "a cat", "-o", "../cat.png")
    run("synth", "nonsense", "-o", "../synth", status=2)
    assert sprung(trapped) == ""


UNGUARDED = """
import sys
from pathlib import Path
sys.path[:0] = ["", Path("/nowhere")]
from turbo_webnn import export_bundle
export_bundle("tiny", sys.argv[1], precision="fp32", components=["text_encoder"])
print("once")
"""


def test_a_script_without_a_guard_runs_once(tmp_path: Path, trapped: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    # safe_path: the parent is the user's own process; what it imports is theirs to say
    done = subprocess.run(
        [sys.executable, "-P", script, tmp_path / "out"], capture_output=True, text=True, cwd=tmp_path, timeout=300
    )
    assert (done.stdout, done.returncode) == ("once\n", 0), done.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
def test_no_process_outlives_a_killed_export(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = [sys.executable, "-m", "turbo_webnn.scripts.cli", "export", "tiny", "-o", str(out)]
    command = subprocess.Popen(words)
    children: list[psutil.Process] = []
    give_up = time.monotonic() + 60
    while len(children) < 2 and time.monotonic() < give_up:  # the worker and a component's
        children = psutil.Process(command.pid).children(recursive=True)
        time.sleep(0.05)
    command.kill()
    command.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".out.turbo-webnn-")
    done = run_command("export", "tiny", "-o", out, "--component", "text_encoder", "--precision", "fp32")
    assert done.returncode == 0, done.stderr
    assert [*tmp_path.iterdir()] == [out]
