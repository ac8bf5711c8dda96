"""The job of making a bundle's files, done in a process of its own: `export.worker_process`.

That process loads torch and does nothing else, so that it can fork a process for each component safely and cheaply
whatever the caller's own process holds: threads, a notebook, another torch. A job goes in as one line of JSON; progress
and the outcome come back as lines of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from export.quantize.plan import Quantization
from models.component import Size
from models.errors import RequestError
from models.json_file import parse_json
from models.layouts import DEFAULT
from models.precision import Precision
from models.python_process import PythonProcess
from models.source import Source

_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(16 << 20), "MALLOC_ARENA_MAX": "2"}
"""glibc would keep freed blocks of up to 32 MB; large weights pass through such blocks, and their memory is to go."""

Report = Callable[[str, str, float], None]
"""Told a component, what is done with it, and which fraction of that is done."""


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
    with PythonProcess("export.worker_process", environment=_MEMORY, avoid=job.source.folders) as process:
        process.send(job.to_json())
        outcome = _outcome(process.answers, report)
        _raise_unless_done(outcome, process)


def _outcome(lines: IO[str], report: Report) -> Mapping[str, Any]:
    for line in lines:
        event = json.loads(line)
        if "progress" not in event:
            return dict(event)
        report(*event["progress"])
    return {}


def _raise_unless_done(outcome: Mapping[str, Any], process: PythonProcess) -> None:
    if "refused" in outcome:
        raise RequestError(outcome["refused"])
    if "failed" in outcome:
        raise OSError(*outcome["failed"])
    if "done" in outcome:
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
