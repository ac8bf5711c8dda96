"""Makes the files of a bundle in a separate process, `export.worker_process`.

That process loads torch and does nothing else. So it can fork a process for each component safely and cheaply, also if
the caller's process has threads, is a notebook, or has loaded another torch. `export.job` has the messages.
"""

from __future__ import annotations

from collections.abc import Iterable

from turbo_webnn.export.job import BundleJob, Event
from turbo_webnn.models.child_process import ChildLostError, read_messages
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.progress import ReportFraction
from turbo_webnn.models.python_process import PythonProcess

_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(16 << 20), "MALLOC_ARENA_MAX": "2"}
"""glibc would keep freed blocks of up to 32 MB. Large weights use such blocks, and their memory must be freed."""


def run_worker(job: BundleJob, report: ReportFraction) -> None:
    """Do `job` in a separate process; return when its files are written. The process ends before this returns.

    Raises:
        RequestError: if the job cannot be served, or if the process was killed.
        OSError: if the files cannot be written.
    """
    avoid = [place if place.is_dir() else place.parent for place in job.plan.source.places]
    with PythonProcess("turbo_webnn.export.worker_process", environment=_MEMORY, avoid=avoid) as process:
        process.send(job)
        outcome = read_outcome(process.output, report)
        if outcome.refused is not None:
            raise RequestError(outcome.refused)
        if outcome.failed is not None:
            raise OSError(*outcome.failed)
        if not outcome.done:
            raise _error_of(process.loss())


def read_outcome(lines: Iterable[str], report: ReportFraction) -> Event:
    """Report the progress in `lines`; return the outcome, or an empty event if the process ended without an outcome.

    Raises:
        RequestError: if a line is no event.
    """
    for event in read_messages(lines, Event, "what the exporting process told"):
        if event.progress is None:
            return event
        report(*event.progress)
    return Event()


def _error_of(loss: ChildLostError) -> Exception:
    """The error of a process that ended without an outcome."""
    if loss.status < 0:
        return RequestError(
            f"the exporting process was ended from outside (signal {-loss.status})",
            "it probably ran out of memory: close other programs, or export one --component at a time",
        )
    complaints = loss.complaints.strip()
    failure = RuntimeError(
        f"the exporting process failed: {complaints.splitlines()[-1] if complaints else loss.status}"
    )
    failure.add_note(complaints)
    return failure
