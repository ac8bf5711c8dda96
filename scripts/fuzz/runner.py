"""Runs of the command without its start-up: this process imports all that a verb needs, and forks for each run."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import psutil

from turbo_webnn.scripts.fuzz.forked_worker import install
from turbo_webnn.scripts.fuzz.outcome import MEMORY_LIMIT_BYTES, TIME_LIMIT_S, Outcome

_PRELOADED = (
    *("torch", "diffusers", "onnxruntime", "onnx", "onnx_ir", "onnxscript", "tokenizers", "safetensors", "PIL.Image"),
    *(
        f"turbo_webnn.{name}"
        for name in (
            *("scripts.cli", "scripts.app", "export.exporter", "export.assembly"),
            *("runtime.webnn.bundle_check", "runtime.webnn.check", "runtime.reference.reference"),
            *("runtime.verification.verify", "runtime.verification.publish", "runtime.bench.bench"),
        )
    ),
)

_UNCAUGHT = 70
"""Exit status of a run that ended with an exception that the command did not turn into a word."""

_POLL_S = 0.02
_OUTPUT_CHARACTERS = 100_000


def preload() -> None:
    """Import what verbs need. No thread may run when `start` forks."""
    for name in _PRELOADED:
        importlib.import_module(name)


class Run:
    """One run of the command in a forked process, which its owner polls.

    Attributes:
        pid: of that process.
    """

    def __init__(
        self,
        words: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        *,
        whole: bool = False,
        prepare: Callable[[], object] = lambda: None,
        limit_s: float = TIME_LIMIT_S,
    ) -> None:
        """Start it.

        Args:
            words: what follows `turbo-webnn`.
            folder: becomes the working folder and keeps what is printed.
            environment: variables to add.
            whole: whether Python starts anew, as for a user.
            prepare: called in the forked process before the command.
            limit_s: seconds after which it is ended.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._outputs = (folder / "stdout", folder / "stderr")
        self._began, self._limit_s = time.monotonic(), limit_s
        self._peak = 0
        self._processes: dict[int, psutil.Process] = {}
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _become(words, folder, self._outputs, environment, None if whole else prepare)

    def poll(self) -> Outcome | None:
        """What it did, or None while it runs; past its limits it is ended."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        seconds = time.monotonic() - self._began
        if not pid:
            self._look()
            if seconds < self._limit_s and self._peak < MEMORY_LIMIT_BYTES:
                return None
            os.kill(self.pid, signal.SIGKILL)
            _, status = os.waitpid(self.pid, 0)
            self._end_others()
            return self._outcome(status, seconds, ())
        return self._outcome(status, seconds, self._end_others())

    def _look(self) -> None:
        """Note its processes and their memory."""
        memory = 0
        try:
            main = psutil.Process(self.pid)
            processes = [main, *main.children(recursive=True)]
        except psutil.Error:
            return
        for process in processes:
            try:
                memory += process.memory_info().rss
            except psutil.Error:
                continue
            if process.pid != self.pid:
                self._processes[process.pid] = process
        self._peak = max(self._peak, memory)

    def _end_others(self) -> tuple[str, ...]:
        """End what is left of its child processes; return their names."""
        alive = [process for process in self._processes.values() if _is_alive(process)]
        _, alive = psutil.wait_procs(alive, timeout=0.5) if alive else ([], [])
        names = []
        for process in alive:
            try:
                names.append(process.name())
                process.kill()
            except psutil.Error:
                continue
        return tuple(names)

    def _outcome(self, status: int, seconds: float, left: tuple[str, ...]) -> Outcome:
        printed = [path.read_text(errors="replace")[:_OUTPUT_CHARACTERS] for path in self._outputs]
        return Outcome(os.waitstatus_to_exitcode(status), seconds, self._peak, printed[0], printed[1], left)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _become(
    words: Sequence[str],
    folder: Path,
    outputs: tuple[Path, Path],
    environment: Mapping[str, str],
    prepare: Callable[[], object] | None,
) -> NoReturn:
    """Be the command, in this forked process; where `prepare` is None, Python starts anew."""
    status = _UNCAUGHT
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a shell's background jobs ignore some
            signal.signal(number, signal.SIG_DFL)
        os.chdir(folder)
        os.environ.update(environment)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream, path in zip((1, 2), outputs, strict=True):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        if prepare is None:
            os.execv(sys.executable, [sys.executable, "-P", "-m", "turbo_webnn.scripts.cli", *words])  # noqa: S606
        install()
        prepare()
        sys.argv = ["turbo-webnn", *words]
        from turbo_webnn.scripts.cli import main

        status = main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else _UNCAUGHT
    except BaseException:  # noqa: BLE001 - whatever the command did not catch is what is looked for
        traceback.print_exc()
    finally:
        _flush(sys.stdout)
        _flush(sys.stderr)
        os._exit(status)


def _flush(stream: Any) -> None:
    try:
        stream.flush()
    except (OSError, ValueError):
        return
