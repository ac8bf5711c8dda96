from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from export.worker import BundleJob
from models.component import Size
from models.source import open_source


def outcome(body: str) -> str:
    """What a script prints that runs jobs in a process without other threads, as the worker is one."""
    script = textwrap.dedent(
        """
        import os, time
        from models.errors import RequestError
        from export.side_by_side import run_side_by_side
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


def test_jobs_travel_as_json() -> None:
    source = open_source("tiny")
    job = BundleJob(source, ("unet",), Size(1, 64, 64), "fp16", source.folder)
    assert BundleJob.from_json(job.to_json()) == job
