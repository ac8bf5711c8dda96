"""The command on consoles that are closed, full or not UTF-8, and told to stop at any moment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import hear_signals
from turbo_webnn.runtime.verification.publish import PARITY

CLI = [sys.executable, "-m", "turbo_webnn.scripts.cli"]
REFUSED = ["export", "nonsense", "-o", "x"]
SAID = "turbo-webnn: 'nonsense' is no folder and no hub id; "

linux = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")


def run(*words: str | bytes, **options: Any) -> subprocess.CompletedProcess[bytes]:
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([*CLI, *words], timeout=120, check=False, **options)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("full", ["stdout", "stderr"])
@linux
def test_a_full_console_costs_nothing_but_the_words(full: str, unbuffered: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("wb") as device:
        refused = run(*REFUSED, "--json", env=environment, **{full: device})
        helped = run("--help", env=environment, **{full: device})
    assert (refused.returncode, helped.returncode) == (2, 0)
    if full == "stdout":
        lost = "turbo-webnn: the result could not be printed (No space left on device)"
        assert helped.stderr.decode().splitlines() == [lost]
        said, after = refused.stderr.decode().splitlines()
        assert said.startswith(SAID)
        assert after == lost
    else:
        assert json.loads(refused.stdout)["error"].startswith("'nonsense' is no folder")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="descriptors are closed as POSIX has them")
@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]])
def test_a_closed_console_costs_nothing_but_the_words(closed: list[int]) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    done = run(*REFUSED, preexec_fn=close)
    assert done.returncode == 2
    assert (done.stdout, done.stderr.decode().startswith(SAID)) == (b"", 2 not in closed)


def test_a_reader_that_leaves_is_no_fault() -> None:
    process = subprocess.Popen([*CLI, "export", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 0


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_what_a_console_cannot_show_is_escaped(encoding: str) -> None:
    name = "猫\U0001f408é"
    done = run("export", name, "-o", "x", "--json", env={**os.environ, "PYTHONIOENCODING": encoding})
    assert done.returncode == 2
    assert name in json.loads(done.stdout)["error"]  # JSON's own escapes
    assert b"Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_prompt_that_is_no_text_is_told(tiny_fp16: Path, tmp_path: Path) -> None:
    done = run("generate", str(tiny_fp16), b"a\xffb", "-o", str(tmp_path / "x.png"))
    assert done.returncode == 2
    assert done.stderr.startswith(b"turbo-webnn: prompt holds '\\udcff', which is no character; give it in UTF-8")
    assert [*tmp_path.iterdir()] == []


def test_what_did_not_fit_a_prompt_is_shown_on_any_console(tiny_fp16: Path, tmp_path: Path) -> None:
    words = ("generate", str(tiny_fp16), "猫 " * 90, "-o", str(tmp_path / "x.png"))
    done = run(*words, env={**os.environ, "PYTHONIOENCODING": "cp1252"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u732b" in done.stdout
    assert (tmp_path / "x.png").is_file()


def test_a_crash_is_not_a_verdict(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from turbo_webnn.scripts import cli

    def crash() -> int:
        raise KeyError("a\nb")

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(cli, "_run", crash)
    monkeypatch.setattr(sys, "argv", ["turbo-webnn"])
    try:
        assert cli.main() == 3
        said = capsys.readouterr().err
        assert said.startswith("turbo-webnn: this is a defect of turbo-webnn (KeyError: 'a\\nb')")
        assert said.count("\n") == 1
        monkeypatch.setenv("TURBO_WEBNN_DEBUG", "1")
        assert cli.main() == 3
        assert "Traceback" in capsys.readouterr().err
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), handlers, strict=True):
            signal.signal(number, handler)


HEARD = ("SIGINT", "SIGTERM", "SIGHUP")


def started(*words: str) -> subprocess.Popen[str]:
    """The command, hearing all signals whatever this process ignores."""
    pipe = subprocess.PIPE
    return subprocess.Popen([*CLI, *words], stdout=pipe, stderr=pipe, text=True, preexec_fn=hear_signals)


@pytest.mark.parametrize("name", HEARD)
@pytest.mark.parametrize("seconds", [0.4, 1.2])
def test_a_verb_that_is_stopped_says_so(tiny_fp16: Path, tmp_path: Path, name: str, seconds: float) -> None:
    process = started("bench", str(tiny_fp16), "--rounds", "1000", "--component", "unet")
    time.sleep(seconds)
    process.send_signal(getattr(signal, name))
    shown, said = process.communicate(timeout=30)
    assert (process.returncode, shown) == (2, "")
    assert said == "turbo-webnn: stopped before the end; nothing was written\n"


def test_signals_that_are_ignored_stay_so(tiny_fp16: Path, tmp_path: Path) -> None:
    words = [*CLI, "generate", str(tiny_fp16), "a cat", "-o", str(tmp_path / "x.png")]
    ignoring = partial(signal.signal, signal.SIGHUP, signal.SIG_IGN)  # as nohup has it
    process = subprocess.Popen(words, stdout=subprocess.PIPE, preexec_fn=ignoring)
    time.sleep(0.5)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.fixture
def read_only(tiny_fp16: Path, tmp_path: Path) -> Callable[[], Path]:
    """A copy of a bundle, in which no file can be made: its folders are files' places for root too."""

    def make() -> Path:
        folder = Path(shutil.copytree(tiny_fp16, tmp_path / "bundle"))
        shutil.rmtree(folder / "report", ignore_errors=True)
        (folder / "report").write_text("where the report would be")
        return folder

    return make


def test_a_verdict_that_cannot_be_kept_is_told(read_only: Callable[[], Path]) -> None:
    folder = read_only()
    done = run("verify", str(folder), "--reference", str(folder), "--steps", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["passed"]
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith(f"turbo-webnn: the report is not kept: {folder / PARITY} cannot be written (")
