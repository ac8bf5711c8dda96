"""Node processes that answer one line of JSON with another."""

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
    """Require Node and the npm packages `names`, in the versions of package.json.

    Raises:
        RequestError: where one is not there.
    """
    if shutil.which("node") is None:
        raise RequestError("there is no node on PATH", "install Node 20 or newer")
    if not (ROOT / "package.json").is_file():
        right = "install from a clone (pip install -e .), or run check --rules-only"
        raise RequestError("an installed wheel has no npm packages, which this needs", right)
    wanted = json.loads((ROOT / "package.json").read_text())["dependencies"]
    for name in names:
        manifest = MODULES / name / "package.json"
        if not manifest.is_file():
            raise RequestError(f"{name} {wanted[name]} is not installed", INSTALL)
        if (version := json.loads(manifest.read_text())["version"]) != wanted[name]:
            raise RequestError(f"{name} is {version}, this is made for {wanted[name]}", INSTALL)


@dataclass(frozen=True)
class _Ready:
    """The first line of a script: the version of what it runs."""

    ready: str


class WorkerLostError(Exception):
    """The process ended or did not answer in time; says which."""


class Worker:
    """A Node script that answers a line of JSON with another, started at need and anew after a failure.

    The script's first line says `{"ready": version}`; an answer with `"last": true` is its last.
    `close()` has to be called; then no process is left.

    Args:
        name: what it is, for messages.
        flags: Node's own.
        arguments: the script's.
        settings: added to the environment.
        grace_s: seconds in which it may close down what it holds, before it is killed.
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
        self.version = ""  # what the script said when it was ready

    def ask(self, job: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        """The answer to `job`.

        Raises:
            WorkerLostError: where none comes within `limit_s` seconds.
            RequestError: where the script does not even start.
        """
        process = self._process or self._start()
        process.send(job)
        try:
            answer = process.receive(dict[str, Any], "what it said", limit_s=limit_s)
        except (ChildLostError, RequestError) as error:  # it ended, or a library of its printed
            self.close()
            raise WorkerLostError(str(error)) from error
        if answer.pop("last", False):
            self.close()
        return answer

    @property
    def pid(self) -> int | None:
        """The process, where one runs."""
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
            complaints = error.complaints.splitlines() if isinstance(error, ChildLostError) else []
            why = next((line for line in complaints if "rror" in line), str(error))
            raise RequestError(f"{self._name} does not start: {why}", "it needs Node 20 or newer") from error
        except BaseException:
            process.close()
            raise
        self._process, self.version = process, ready.ready
        return process
