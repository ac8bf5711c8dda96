"""The job of making a bundle's files, done in a process of its own: `export.worker_process`.

That process loads torch and does nothing else, so that it can fork a process for each component safely and cheaply
whatever the caller's own process holds: threads, a notebook, another torch. A job goes in as one line of JSON; progress
and the outcome come back as lines of JSON.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from turbo_webnn.export.quantize.plan import Quantization
from turbo_webnn.models.component import Size
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import parse_json
from turbo_webnn.models.layouts import DEFAULT
from turbo_webnn.models.precision import Precision
from turbo_webnn.models.progress import ReportFraction as Report
from turbo_webnn.models.python_process import PythonProcess
from turbo_webnn.models.source import Source

_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(16 << 20), "MALLOC_ARENA_MAX": "2"}
"""glibc would keep freed blocks of up to 32 MB; large weights pass through such blocks, and their memory is to go."""


@dataclass(frozen=True)
class BundleJob:
    """What is to be made, and the folder to make it in."""

    source: Source
    components: tuple[str, ...]
    size: Size
    precision: Precision
    stage: Path
    max_graph_bytes: int | None = None
    bake_time_ids: bool = False
    layout: str = DEFAULT
    quantization: Quantization | None = None

    def to_json(self) -> str:
        """The job as one line."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, line: str) -> BundleJob:
        """The job that `to_json` wrote."""
        return parse_json(line, cls, "the job")


def run_worker(job: BundleJob, report: Report) -> None:
    """Do `job` in a process of its own; return when its files are written. The process never outlives the call.

    Raises:
        RequestError: what the job cannot be served for, or that the process was killed.
        OSError: where the files cannot be written.
    """
    with PythonProcess("turbo_webnn.export.worker_process", environment=_MEMORY, avoid=job.source.folders) as process:
        process.send(job.to_json())
        outcome = read_outcome(process.answers, report)
        _raise_unless_done(outcome, process)


@dataclass(frozen=True)
class Event:
    """A line of the process: how far it is, or how it came out.

    Attributes:
        progress: a component, what is done with it, and which fraction of that is done.
        refused: the line that says why the job cannot be served.
        failed: number, words and file of an OSError.
        done: whether all files are written.
    """

    progress: tuple[str, str, float] | None = None
    refused: str | None = None
    failed: tuple[int | None, str | None, str | None] | None = None
    done: bool = False


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
