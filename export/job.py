"""What goes between `export.worker` and its process `export.worker_process`: a job, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from turbo_webnn.export.request import ExportPlan


@dataclass(frozen=True)
class BundleJob:
    """What is to be made, and the folder to make it in."""

    plan: ExportPlan
    stage: Path


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
