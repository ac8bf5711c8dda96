"""Runs of the command without start-up time: this process imports all modules, and forks for each run."""

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
"""The exit status of a run that ended with an exception which the command did not handle."""

_POLL_S = 0.02
_OUTPUT_CHARACTERS = 100_000


def preload() -> None:
    """Import the modules of all commands. No other thread may run when a `Run` forks."""
    for name in _PRELOADED:
        importlib.import_module(name)


class Run:
    """One run of the command in a forked process; its owner must poll it.

    Attributes:
        pid: the id of the process.
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
        """Start the run.

        Args:
            words: the arguments of `turbo-webnn`.
            folder: the working folder; it also holds the output files.
            environment: variables to add.
            whole: whether to start a new Python process, as for a user.
            prepare: called in the forked process before the command.
            limit_s: the time limit in seconds.
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
            _run_command(words, folder, self._outputs, environment, None if whole else prepare)

    def poll(self) -> Outcome | None:
        """Return the outcome, or None while the run continues; kill a run that exceeds a limit."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        seconds = time.monotonic() - self._began
        if not pid:
            self._measure()
            if seconds < self._limit_s and self._peak < MEMORY_LIMIT_BYTES:
                return None
            os.kill(self.pid, signal.SIGKILL)
            _, status = os.waitpid(self.pid, 0)
            self._kill_children()
            return self._outcome(status, seconds, ())
        return self._outcome(status, seconds, self._kill_children())

    def _measure(self) -> None:
        """Record its processes and their memory."""
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

    def _kill_children(self) -> tuple[str, ...]:
        """Kill the remaining child processes; return their names."""
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
        texts = [path.read_text(errors="replace")[:_OUTPUT_CHARACTERS] for path in self._outputs]
        return Outcome(os.waitstatus_to_exitcode(status), seconds, self._peak, texts[0], texts[1], left)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _run_command(
    words: Sequence[str],
    folder: Path,
    outputs: tuple[Path, Path],
    environment: Mapping[str, str],
    prepare: Callable[[], object] | None,
) -> NoReturn:
    """Run the command in this forked process; where `prepare` is None, start a new Python process."""
    status = _UNCAUGHT
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # background jobs of a shell ignore some signals
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
    except BaseException:  # noqa: BLE001 - the fuzzer searches for uncaught exceptions
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
