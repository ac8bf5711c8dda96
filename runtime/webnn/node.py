"""Node processes that answer each line of JSON with a line of JSON."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from turbo_webnn.models.child_process import ChildLostError, ChildProcess
from turbo_webnn.models.errors import RequestError

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "node_modules"
START_LIMIT_S = 60.0
INSTALL = f"run npm ci --ignore-scripts in {ROOT}"


def require_packages(*names: str) -> None:
    """Require Node, and the npm packages `names` in the versions of package.json.

    Raises:
        RequestError: where one is missing, or has another version.
    """
    if shutil.which("node") is None:
        raise RequestError("there is no node on PATH", "install Node 20 or newer")
    if not (ROOT / "package.json").is_file():
        right = "install from a clone (pip install -e .), or run check --rules-only"
        raise RequestError("an installed wheel has no npm packages, which this needs", right)
    required = json.loads((ROOT / "package.json").read_text())["dependencies"]
    for name in names:
        manifest = MODULES / name / "package.json"
        if not manifest.is_file():
            raise RequestError(f"{name} {required[name]} is not installed", INSTALL)
        if (version := json.loads(manifest.read_text())["version"]) != required[name]:
            raise RequestError(f"{name} is {version}, this is made for {required[name]}", INSTALL)


@dataclass(frozen=True)
class _Ready:
    """The first line of a script, with the version of the program that it runs."""

    ready: str


class WorkerLostError(Exception):
    """The process ended, or did not answer in time. The message says which."""


class Worker:
    """Runs a Node script that answers each line of JSON with a line of JSON.

    The process starts at the first request, and again after a failure. The first line of the script is
    `{"ready": version}`. After an answer with `"last": true` the process is closed. Call `close()` at the end.

    Args:
        name: the name of the program, for messages.
        script: the path of the script.
        flags: options of Node.
        arguments: arguments of the script.
        settings: additional environment variables.
        grace_s: the time in seconds for closing the process, before it is killed.
    """

    def __init__(
        self,
        name: str,
        script: Path,
        *,
        flags: Sequence[str] = (),
        arguments: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        grace_s: float = 5.0,
    ) -> None:
        self._name = name
        self._command = ["node", *flags, str(script), *arguments]
        self._grace_s = grace_s
        self._environment = {**os.environ, **(settings or {})}
        self._process: ChildProcess | None = None
        self.version = ""  # the version from the first line of the script

    def request(self, job: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        """Send `job`, and wait for the answer.

        Raises:
            WorkerLostError: where no answer comes within `limit_s` seconds.
            RequestError: where the script does not start.
        """
        process = self._process or self._start()
        process.send(job)
        try:
            answer = process.receive(dict[str, Any], "what it said", limit_s=limit_s)
        except (ChildLostError, RequestError) as error:  # the process ended, or a library printed other text
            self.close()
            raise WorkerLostError(str(error)) from error
        if answer.pop("last", False):
            self.close()
        return answer

    @property
    def pid(self) -> int | None:
        """The id of the process; None where no process runs."""
        return self._process.pid if self._process else None

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def _start(self) -> ChildProcess:
        process = ChildProcess(self._command, environment=self._environment, grace_s=self._grace_s)
        process.start()
        try:
            ready = process.receive(_Ready, "what it said", limit_s=START_LIMIT_S)
        except (ChildLostError, RequestError) as error:
            process.close()
            error_lines = error.complaints.splitlines() if isinstance(error, ChildLostError) else []
            reason = next((line for line in error_lines if "rror" in line), str(error))
            raise RequestError(f"{self._name} does not start: {reason}", "it needs Node 20 or newer") from error
        except BaseException:
            process.close()
            raise
        self._process, self.version = process, ready.ready
        return process
