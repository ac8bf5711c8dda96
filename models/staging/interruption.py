"""Being asked to stop: Ctrl-C, SIGTERM and SIGHUP, which must not fall between a deed and the word about it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)  # Windows has no SIGHUP
)
"""The signals that ask a process to end."""

_state = {"done": False, "asked": False}


class Stopped(BaseException):
    """The process was asked to stop, and can: nothing has taken its place yet."""


@contextmanager
def stoppable() -> Iterator[None]:
    """In the block, a signal that asks to stop raises `Stopped`, unless it is `too_late`.

    Signals that are ignored stay so: under nohup, or in the background of a shell. In the main thread only.
    """

    def stop(_number: int, _frame: object) -> None:
        if not too_late():
            _state["asked"] = True
            raise Stopped

    heard = [number for number in STOPPING if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def deaf() -> None:
    """From now on signals that ask to stop are ignored: the process is about to end by itself."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals that ask to stop wait until the block has ended; they are delivered then.

    The block is where a result takes its place. Once one has ended well, `too_late` is true: what was asked for is
    done. Outside of the main thread, where Python runs no handlers, signals are not touched.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        _state["done"] = True
        return
    waiting: list[int] = []
    handlers = {}
    try:
        for number in STOPPING:
            if signal.getsignal(number) is not None:  # None: installed by other than Python, and not ours to restore
                handlers[number] = signal.signal(number, lambda received, _frame: waiting.append(received))
        yield
        _state["done"] = True
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if waiting:
            signal.raise_signal(waiting[0])


def asked_to_stop() -> bool:
    """Whether `Stopped` was raised; what came of it may be another error, where a library's import was under way."""
    return _state["asked"]


def too_late() -> bool:
    """Whether a result of this process has taken its place, so that stopping can undo nothing any more."""
    return _state["done"]
