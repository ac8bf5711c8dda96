from __future__ import annotations

import io
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.refusal import refusal
from turbo_webnn.export.job import BundleJob, Event
from turbo_webnn.export.request import ExportRequest
from turbo_webnn.export.worker import read_outcome
from turbo_webnn.models.child_process import to_line
from turbo_webnn.models.json_file import parse_json
from turbo_webnn.models.source import open_source


def outcome(body: str) -> str:
    """What a script prints that runs jobs in a process without other threads, as the worker is one."""
    script = textwrap.dedent(
        """
        import os, time
        from turbo_webnn.models.errors import RequestError
        from turbo_webnn.export.side_by_side import run_side_by_side
        def work(job, progress):
            progress("working", 0.5)
            if job == "refuse": raise RequestError("no")
            if job == "die": os.kill(os.getpid(), 9)
            if job == "sleep": time.sleep(60)
            return job * 2
        told = []
        def go(**jobs):
            return run_side_by_side(work, jobs, lambda *said: told.append(said), limit=2)
        """
    ) + textwrap.dedent(body)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_results_come_in_the_order_of_the_jobs() -> None:
    assert outcome("print(go(a=1, b=2, c=3), len(told))") == "{'a': 2, 'b': 4, 'c': 6} 3"


@pytest.mark.parametrize(
    ("job", "said"), [("refuse", "no"), ("die", "the process that exports bad was ended from outside (exit -9)")]
)
def test_a_job_that_fails_ends_the_others(job: str, said: str) -> None:
    printed = outcome(
        f"""
        began = time.monotonic()
        try: go(slow="sleep", bad="{job}")
        except RequestError as error: print(error)
        assert time.monotonic() - began < 20
        """
    )
    assert printed.startswith(said)


def test_jobs_travel_as_json(tmp_path: Path) -> None:
    request = ExportRequest(tmp_path / "out", components=("unet",), height=64, width=64)
    job = BundleJob(request.plan(open_source("tiny")), tmp_path)
    assert parse_json(to_line(job), BundleJob, "the job") == job


PROGRESS = '{"progress": ["unet", "tracing", 0.5]}\n'


@pytest.mark.parametrize(
    ("lines", "last"),
    [
        ('{"done": true}\n', Event(done=True)),
        ('{"refused": "no"}\n', Event(refused="no")),
        ('{"failed": [28, "No space left on device", null]}\n', Event(failed=(28, "No space left on device", None))),
        ("", Event()),
        ('{"done": tr', Event()),  # the process was killed as it wrote
    ],
)
def test_events_come_line_by_line(lines: str, last: Event) -> None:
    heard: list[object] = []
    assert read_outcome(io.StringIO(2 * PROGRESS + lines), lambda *progress: heard.append(progress)) == last
    assert heard == 2 * [("unet", "tracing", 0.5)]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("a library's words", "is not readable JSON ("),
        ('{"progress": ["unet"]}', "is not of the right form (Expected array of length 3 - at progress)"),
        ('{"refused": 1}', "is not of the right form (Expected str | null, got int"),
        ("[]", "is not of the right form (Expected object, got array)"),
    ],
)
def test_a_line_that_is_no_event_is_one_error(line: str, wrong: str) -> None:
    said = refusal(read_outcome, io.StringIO(f"{line}\n"), lambda *_: None)
    assert said.startswith("what the exporting process told ")
    assert wrong in said
