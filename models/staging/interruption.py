"""The stop signals (Ctrl-C, SIGTERM and SIGHUP), which must not separate a result from the message about it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STOP_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)  # Windows has no SIGHUP
)
"""The signals that request the end of a process."""

_state = {"done": False, "requested": False}


class Stopped(BaseException):
    """A stop signal arrived before a result was in its final place."""


@contextmanager
def stoppable() -> Iterator[None]:
    """In the block, a stop signal raises `Stopped`, unless it is `too_late`.

    Signals that the process ignores, under nohup or in the background of a shell, stay ignored. Works in the main
    thread only.
    """

    def stop(_number: int, _frame: object) -> None:
        if not too_late():
            _state["requested"] = True
            raise Stopped

    handled = [number for number in STOP_SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, stop) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_stop_signals() -> None:
    """Ignore the stop signals from now on: the process is about to end."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay stop signals until the end of the block.

    The block moves a result to its final place. After a block without error `too_late` is true. Outside the main
    thread, where Python runs no signal handlers, the signals are not delayed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        _state["done"] = True
        return
    waiting: list[int] = []
    handlers = {}
    try:
        for number in STOP_SIGNALS:
            if signal.getsignal(number) is not None:  # None: not installed by Python, which could not restore it
                handlers[number] = signal.signal(number, lambda received, _frame: waiting.append(received))
        yield
        _state["done"] = True
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if waiting:
            signal.raise_signal(waiting[0])


def stop_requested() -> bool:
    """Whether `Stopped` was raised; during the import of a library it can become another exception."""
    return _state["requested"]


def too_late() -> bool:
    """Whether a result of this process is in its final place, so that a stop cannot undo it."""
    return _state["done"]
