"""What the command says: results on standard output, progress and errors on standard error."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from models.errors import RequestError

STDERR = Console(stderr=True)

Report = Callable[[str, str, float], None]


def show(text: str) -> None:
    """A line of result, for people."""
    sys.stdout.write(text + "\n")


def show_json(held: Any) -> None:
    """A result, for machines."""
    show(json.dumps(held, indent=2, ensure_ascii=False))


def fail(message: str, *, as_json: bool) -> int:
    """Say in one line why a request cannot be served; return the exit status for that."""
    if as_json:
        show_json({"error": message})
    sys.stderr.write(f"turbo-webnn: {message}\n")
    return 2


@contextmanager
def progress(*, shown: bool) -> Iterator[Report]:
    """A bar for each thing that is reported; nothing where standard error is no terminal."""
    if not (shown and STDERR.is_terminal):
        yield lambda _name, _doing, _fraction: None
        return
    columns = (TextColumn("{task.fields[name]:<16}"), TextColumn("{task.description:<10}"), BarColumn())
    with Progress(*columns, TimeElapsedColumn(), console=STDERR) as bars:
        tasks: dict[str, TaskID] = {}

        def report(name: str, doing: str, fraction: float) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(doing, total=1.0, name=name)
            bars.update(tasks[name], description=doing, completed=fraction)

        yield report


@contextmanager
def polite() -> Iterator[None]:
    """Libraries keep their hints to themselves, and being asked to end is heard like Ctrl-C."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")

    def ended(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, ended)
    try:
        yield
    except KeyboardInterrupt:
        raise RequestError("stopped before the end", "nothing was written") from None
    finally:
        signal.signal(signal.SIGTERM, before)
