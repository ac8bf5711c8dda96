"""The job of making a bundle's files, done in a process of its own: `export.worker_process`.

That process loads torch and does nothing else, so that it can fork a process for each component safely and cheaply
whatever the caller's own process holds: threads, a notebook, another torch. A job goes in as one line of JSON; progress
and the outcome come back as lines of JSON.
"""

from __future__ import annotations

from typing import IO

from turbo_webnn.export.job import BundleJob, Event
from turbo_webnn.export.side_by_side import Report
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import parse_json
from turbo_webnn.models.python_process import PythonProcess

_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(16 << 20), "MALLOC_ARENA_MAX": "2"}
"""glibc would keep freed blocks of up to 32 MB; large weights pass through such blocks, and their memory is to go."""


def run_worker(job: BundleJob, report: Report) -> None:
    """Do `job` in a process of its own; return when its files are written. The process never outlives the call.

    Raises:
        RequestError: what the job cannot be served for, or that the process was killed.
        OSError: where the files cannot be written.
    """
    with PythonProcess(
        "turbo_webnn.export.worker_process", environment=_MEMORY, avoid=job.plan.source.folders
    ) as process:
        process.send(job.to_json())
        outcome = read_outcome(process.answers, report)
        _raise_unless_done(outcome, process)


def read_outcome(lines: IO[str], report: Report) -> Event:
    """The last event of `lines`; one that says nothing where the process ended without.

    Raises:
        RequestError: where a line is no event.
    """
    for line in lines:
        if not line.endswith("\n"):  # it ended in the midst of a line
            break
        event = parse_json(line, Event, "what the exporting process told", "report it as a defect")
        if event.progress is None:
            return event
        report(*event.progress)
    return Event()


def _raise_unless_done(outcome: Event, process: PythonProcess) -> None:
    if outcome.refused is not None:
        raise RequestError(outcome.refused)
    if outcome.failed is not None:
        raise OSError(*outcome.failed)
    if outcome.done:
        return
    status = process.wait()
    if status < 0:
        raise RequestError(
            f"the exporting process was ended from outside (signal {-status})",
            "it probably ran out of memory: close other programs, or export one --component at a time",
        )
    complaints = process.complaints().strip()
    failure = RuntimeError(f"the exporting process failed: {complaints.splitlines()[-1] if complaints else status}")
    failure.add_note(complaints)
    raise failure
