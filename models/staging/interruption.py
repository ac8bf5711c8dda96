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

_state = {"done": False}


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


def too_late() -> bool:
    """Whether a result of this process has taken its place, so that stopping can undo nothing any more."""
    return _state["done"]
