"""A side of the benchmark, seen from the process that compares them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import Any

from models.errors import RequestError


class SideProcess:
    """Starts `runtime.bench.worker` for `kind` with `options`, and ends it with the block.

    Raises:
        RequestError: by each method, with the side's own words where it refuses, or its last ones where it died.
    """

    def __init__(self, name: str, kind: str, options: dict[str, Any]) -> None:
        self.name = name
        self._words = [sys.executable, "-m", "runtime.bench.worker", kind, json.dumps(options)]

    def __enter__(self) -> SideProcess:
        self._said = tempfile.TemporaryFile("w+")  # a pipe that nobody reads would fill
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(self._words, stdin=pipe, stdout=pipe, stderr=self._said, text=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()  # it holds nothing that is not in memory
        self._process.communicate()
        self._said.close()

    def wait_until_made(self) -> None:
        """Returns when the side is there."""
        self._answer()

    def ask(self, what: str, *of: Any) -> Any:
        """The answer of the side's method `what`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"ask": what, "of": of}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer says why
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._said.seek(0)
            last = next(reversed(self._said.read().strip().splitlines()), "it was killed, perhaps for want of memory")
            raise RequestError(f"{self.name} ended with status {status} ({last})", "try it with fewer sides")
        told = json.loads(line)
        if "refused" in told:
            raise RequestError(f"{self.name}: {told['refused']}")
        return told["answer"]
