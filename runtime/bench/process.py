"""A side of the benchmark, seen from the process that compares them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import parse_json
from turbo_webnn.models.python_process import PythonProcess


@dataclass(frozen=True)
class _Answer:
    """A line of a side: what was asked for, or why there is none."""

    answer: Any = None
    refused: str | None = None


class SideProcess:
    """Starts `runtime.bench.worker` for `kind` with `options`, and ends it with the block.

    Raises:
        RequestError: by each method, with the side's own words where it refuses, or its last ones where it died.
    """

    def __init__(self, name: str, kind: str, options: dict[str, Any]) -> None:
        self.name = name
        self._process = PythonProcess("turbo_webnn.runtime.bench.worker", kind, json.dumps(options))

    def __enter__(self) -> SideProcess:
        self._process.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.__exit__(kind, error, at)

    def wait_until_made(self) -> None:
        """Returns when the side is there."""
        self._answer()

    def ask(self, what: str, *of: Any) -> Any:
        """The answer of the side's method `what`."""
        self._process.send(json.dumps({"ask": what, "of": of}))
        return self._answer()

    def _answer(self) -> Any:
        line = self._process.answers.readline()
        if not line.endswith("\n"):  # it has ended, perhaps in the midst of a line
            status = self._process.wait()
            complaints = self._process.complaints().strip().splitlines()
            last = next(reversed(complaints), "it was killed, perhaps for want of memory")
            raise RequestError(f"{self.name} ended with status {status} ({last})", "try it with fewer sides")
        answer = parse_json(line, _Answer, f"what {self.name} answers", "report it as a defect")
        if answer.refused is not None:
            raise RequestError(f"{self.name}: {answer.refused}")
        return answer.answer
