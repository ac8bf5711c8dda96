"""Node processes that answer one line of JSON with another."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from models.errors import RequestError

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "node_modules"
START_LIMIT_S = 60.0
INSTALL = f"run npm ci --ignore-scripts in {ROOT}"


def require_packages(*names: str) -> None:
    """Sees to it that Node and the npm packages `names` are there, in the versions of package.json.

    Raises RequestError where one is not.
    """
    if shutil.which("node") is None:
        raise RequestError("there is no node on PATH", "install Node 20 or newer")
    wanted = json.loads((ROOT / "package.json").read_text())["dependencies"]
    for name in names:
        manifest = MODULES / name / "package.json"
        if not manifest.is_file():
            raise RequestError(f"{name} {wanted[name]} is not installed", INSTALL)
        if (version := json.loads(manifest.read_text())["version"]) != wanted[name]:
            raise RequestError(f"{name} is {version}, this is made for {wanted[name]}", INSTALL)


class WorkerLostError(Exception):
    """The process ended or did not answer in time; says which."""


class Worker:
    """A Node script that reads a line of JSON a job and answers each with one.

    flags are Node's own, arguments the script's, settings are added to the environment.
    Its first line says that it is ready. To be used in a `with`: the process is gone when the block is left.
    """

    def __init__(
        self,
        script: Path,
        *,
        flags: Sequence[str] = (),
        arguments: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._process = subprocess.Popen(
            ["node", *flags, str(script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **(settings or {})},
            text=True,
        )
        try:
            self.ready = self._answer(START_LIMIT_S)
        except WorkerLostError:
            self.close()
            raise

    def ask(self, job: dict[str, Any], limit_s: float) -> dict[str, Any]:
        """The answer to `job`. Raises WorkerLostError where none comes within `limit_s` seconds."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise WorkerLostError("the process has ended") from error
        return self._answer(limit_s)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """Ends the process: its input closes, and what has not gone in five seconds is killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _answer(self, limit_s: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        late = threading.Timer(limit_s, self._process.kill)
        late.start()
        line = self._process.stdout.readline()
        in_time = late.is_alive()
        late.cancel()
        if not line:
            raise WorkerLostError("the process has ended" if in_time else f"no answer in {limit_s:g} s")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
