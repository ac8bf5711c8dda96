"""Processes of ours, started without their start-up: a fork of this one, where a verb asks for `python -m MODULE`.

A run of the fuzzer would else spend most of its time on importing torch in the process that an export works in. What
the started module sees is as it would be: its own streams, environment, working folder and session.
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
"""What is forked; all else is started as usual."""

_FDS_END = 4096


def install() -> None:
    """From now on, this process forks what it would start."""
    subprocess.Popen = _ForkingPopen  # type: ignore[misc]


class _ForkingPopen(subprocess.Popen):  # type: ignore[type-arg]
    def _execute_child(self, *arguments: Any) -> None:
        start = super()._execute_child  # type: ignore[misc]
        asked = inspect.signature(start).bind(*arguments).arguments
        words = asked["args"]
        module = next((word for word in words if word in _MODULES), None) if isinstance(words, list) else None
        if module is None:
            start(*arguments)
            return
        self.pid = os.fork()
        if self.pid == 0:
            _become(module, words, asked)
        self._child_created = True
        for mine, theirs in (("p2cwrite", "p2cread"), ("c2pread", "c2pwrite"), ("errread", "errwrite")):
            if asked[theirs] != -1 and asked[mine] != -1:
                os.close(asked[theirs])


def _become(module: str, words: list[str], asked: Mapping[str, Any]) -> NoReturn:
    """Be `python -m module`, in this forked process."""
    status = 1
    try:
        _enter(asked)
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
        sys.argv = [module, *words[words.index(module) + 1 :]]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as Python does at its top
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                continue
        os._exit(status)


def _enter(asked: Mapping[str, Any]) -> None:
    """Take over what the started process was to have: its session, streams, working folder and environment."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # as a started process has them
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if asked["start_new_session"]:
        os.setsid()
    for stream, end in enumerate(("p2cread", "c2pwrite", "errwrite")):
        if asked[end] != -1:
            os.dup2(asked[end], stream)
    os.closerange(3, _FDS_END)
    if asked["cwd"] is not None:
        os.chdir(asked["cwd"])
    if asked["env"] is not None:
        os.environ.clear()
        os.environ.update(asked["env"])
