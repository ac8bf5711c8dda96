"""Child processes: what they say, how long they may take, and that none is left."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.refusal import refusal
from turbo_webnn.models.child_process import ChildLostError, ChildProcess, to_line


@dataclass(frozen=True)
class Echo:
    """A message of the children here."""

    number: int
    path: Path = Path("a")


START = """
import json, os, subprocess, sys, time
from turbo_webnn.models.child_process import Parent
"""


def child(code: str, grace_s: float = 0.0) -> ChildProcess:
    return ChildProcess([sys.executable, "-c", START + code], grace_s=grace_s)


def test_messages_are_typed_values() -> None:
    with child("for line in sys.stdin: print(line, end='', flush=True)") as process:
        process.send(Echo(np.int64(7), Path("b")))  # type: ignore[arg-type]
        assert process.receive(Echo, "it") == Echo(7, Path("b"))
        process.send({"number": "no"})
        assert "it is not of the right form (Expected int, got str" in refusal(process.receive, Echo, "it")
        process.send([])
        assert "Expected object, got array" in refusal(process.receive, Echo, "it")


def test_a_value_without_a_form_in_json_is_an_error() -> None:
    with pytest.raises(TypeError, match="complex has no form in JSON"):
        to_line({"value": 1j})


def test_a_child_that_ends_is_lost_with_its_complaints() -> None:
    with child("print('{\"number\"', end='', flush=True); sys.exit('no room')") as process:
        with pytest.raises(ChildLostError, match="the process has ended") as lost:
            process.receive(Echo, "it")
        assert (lost.value.status, lost.value.complaints) == (1, "no room\n")
        process.send(Echo(1))  # it is not there to read it
        with pytest.raises(ChildLostError):
            process.receive(Echo, "it")


def test_a_child_that_is_late_is_killed() -> None:
    with child("time.sleep(60)") as process:
        with pytest.raises(ChildLostError, match=r"no answer within 0\.5 s") as lost:
            process.receive(Echo, "it", limit_s=0.5)
        assert lost.value.status < 0


@pytest.mark.parametrize("grace_s", [0.0, 0.5])
def test_no_process_outlives_the_block(grace_s: float) -> None:
    sleeper = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    with child(f"print(json.dumps({{'number': {sleeper}.pid}}), flush=True); time.sleep(60)", grace_s) as process:
        own = psutil.Process(process.receive(Echo, "it").number)
        pid = process.pid
    assert not psutil.pid_exists(pid)
    assert not psutil.wait_procs([own], timeout=10)[1]


def test_a_child_closes_down_by_itself_in_its_grace(tmp_path: Path) -> None:
    path = tmp_path / "closed"
    code = f"print('{{\"number\": 1}}', flush=True); sys.stdin.read(); open({str(path)!r}, 'w').close()"
    with child(code, grace_s=60) as process:
        process.receive(Echo, "it")
        began = time.monotonic()
    assert path.exists()
    assert time.monotonic() - began < 30


def test_a_child_in_python_sends_messages_alone_and_ends_with_its_input() -> None:
    code = """
parent = Parent()
print("of a library", flush=True)
os.system("echo of a program")
parent.end_with_input()
parent.send(parent.receive(dict))
time.sleep(60)
"""
    with child(code, grace_s=30) as process:
        process.send(Echo(3))
        assert process.receive(Echo, "it").number == 3
        began = time.monotonic()
        process._input.close()
        lost = process.loss()
        assert time.monotonic() - began < 30
    assert (lost.status, lost.complaints) == (0, "of a library\nof a program\n")
