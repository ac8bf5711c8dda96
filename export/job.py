"""What goes between `export.worker` and its process `export.worker_process`: a job, and what becomes of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from turbo_webnn.export.request import ExportPlan
from turbo_webnn.models.json_file import parse_json


@dataclass(frozen=True)
class BundleJob:
    """What is to be made, and the folder to make it in."""

    plan: ExportPlan
    stage: Path

    def to_json(self) -> str:
        """The job as one line."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, line: str) -> BundleJob:
        """The job that `to_json` wrote."""
        return parse_json(line, cls, "the job")


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
