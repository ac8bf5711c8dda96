"""Subprocesses of this project without start-up time: this process forks where a command starts `python -m MODULE`.

Otherwise a run of the fuzzer would spend most of its time on the import of torch in the subprocess of an export. The
module has the same environment as in a new process: its own streams, variables, working folder and session.
"""

from __future__ import annotations

import inspect
import os
import runpy
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

_MODULES = {"turbo_webnn.export.worker_process", "turbo_webnn.runtime.bench.worker"}
"""The modules to fork; all other processes start as usual."""

_FDS_END = 4096


def install() -> None:
    """Fork the modules of `_MODULES` in place of starting them, from now on."""
    subprocess.Popen = _ForkingPopen  # type: ignore[misc]


class _ForkingPopen(subprocess.Popen):  # type: ignore[type-arg]
    def _execute_child(self, *arguments: Any) -> None:
        start = super()._execute_child  # type: ignore[misc]
        popen_arguments = inspect.signature(start).bind(*arguments).arguments
        words = popen_arguments["args"]
        module = next((word for word in words if word in _MODULES), None) if isinstance(words, list) else None
        if module is None:
            start(*arguments)
            return
        self.pid = os.fork()
        if self.pid == 0:
            _run_module(module, words, popen_arguments)
        self._child_created = True
        for own_end, child_end in (("p2cwrite", "p2cread"), ("c2pread", "c2pwrite"), ("errread", "errwrite")):
            if popen_arguments[child_end] != -1 and popen_arguments[own_end] != -1:
                os.close(popen_arguments[child_end])


def _run_module(module: str, words: list[str], popen_arguments: Mapping[str, Any]) -> NoReturn:
    """Run `python -m module` in this forked process."""
    status = 1
    try:
        _apply_settings(popen_arguments)
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
        sys.argv = [module, *words[words.index(module) + 1 :]]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as Python does at the top level
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                continue
        os._exit(status)


def _apply_settings(popen_arguments: Mapping[str, Any]) -> None:
    """Apply the session, streams, working folder and environment that the new process should have."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # the defaults of a new process
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if popen_arguments["start_new_session"]:
        os.setsid()
    for stream, end in enumerate(("p2cread", "c2pwrite", "errwrite")):
        if popen_arguments[end] != -1:
            os.dup2(popen_arguments[end], stream)
    os.closerange(3, _FDS_END)
    if popen_arguments["cwd"] is not None:
        os.chdir(popen_arguments["cwd"])
    if popen_arguments["env"] is not None:
        os.environ.clear()
        os.environ.update(popen_arguments["env"])
