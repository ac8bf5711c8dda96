"""Node processes that answer one line of JSON with another."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import parse_json

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
    """A Node script that answers a line of JSON with another, started at need and anew after a failure.

    The script's first line says `{"ready": version}`; an answer with `"last": true` is its last.
    `close()` has to be called; then no process is left.

    name: what it is, for messages.
    flags: Node's own. arguments: the script's. settings: added to the environment.
    """

    def __init__(
        self,
        name: str,
        script: Path,
        *,
        flags: Sequence[str] = (),
        arguments: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._name = name
        self._command = ["node", *flags, str(script), *arguments]
        self._environment = {**os.environ, **(settings or {})}
        self._process: subprocess.Popen[str] | None = None
        self.version = ""  # what the script said when it was ready

    def ask(self, job: dict[str, Any], limit_s: float) -> dict[str, Any]:
        """The answer to `job`.

        Raises WorkerLostError where none comes within `limit_s` seconds, and RequestError where the script
        does not even start.
        """
        process = self._process or self._start()
        try:
            answer = _exchange(process, job, limit_s)
        except WorkerLostError:
            self.close()
            raise
        if answer.pop("last", False):
            self.close()
        return answer

    @property
    def pid(self) -> int | None:
        """The process, where one runs."""
        return self._process.pid if self._process else None

    def close(self) -> None:
        """Ends the process: its input closes, and what has not gone in five seconds is killed."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):  # a job that was not taken any more
            process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _start(self) -> subprocess.Popen[str]:
        with tempfile.TemporaryFile("w+") as complaints:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env=self._environment,
                text=True,
            )
            try:
                self.version = str(_answer(self._process, START_LIMIT_S).get("ready"))
            except WorkerLostError as loss:
                self.close()
                complaints.seek(0)
                why = next((line for line in complaints if "rror" in line), str(loss))
                wrong = f"{self._name} does not start: {why}"
                raise RequestError(wrong, "it needs Node 20 or newer") from loss
        return self._process


def _exchange(process: subprocess.Popen[str], job: dict[str, Any], limit_s: float) -> dict[str, Any]:
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
    except OSError as error:
        raise WorkerLostError("the process has ended") from error
    return _answer(process, limit_s)


def _answer(process: subprocess.Popen[str], limit_s: float) -> dict[str, Any]:
    """The next line of `process`, which is killed where it takes longer than `limit_s` seconds."""
    assert process.stdout is not None
    late = threading.Timer(limit_s, process.kill)
    late.start()
    line = process.stdout.readline()
    in_time = late.is_alive()
    late.cancel()
    if not line:
        raise WorkerLostError("the process has ended" if in_time else f"no answer within {limit_s:g} s")
    try:
        return parse_json(line, dict[str, Any], "what it said")
    except RequestError as error:  # it was ended in the midst of a line, or a library of its printed
        raise WorkerLostError(str(error)) from error
