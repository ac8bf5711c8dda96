"""The messages between `export.worker` and the process `export.worker_process`: it receives a job and sends events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from turbo_webnn.export.request import ExportPlan


@dataclass(frozen=True)
class BundleJob:
    """A plan to carry out in the folder `stage`; where that is None, the weights are only judged by their headers."""

    plan: ExportPlan
    stage: Path | None


@dataclass(frozen=True)
class Event:
    """Progress of the job, or its outcome.

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
