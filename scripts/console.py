"""What the command says: results on standard output, progress and errors on standard error.

A console that is closed, full or not UTF-8 never costs a result: what it cannot show is escaped, and what it does not
take is left out.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from turbo_webnn.models.progress import ReportFraction


class _Forgiving(io.RawIOBase):
    """A stream that takes everything, whether or not the one below does.

    Attributes:
        lost: why the one below took no more; None where it took all.
    """

    def __init__(self, below: Any) -> None:
        self._below: io.RawIOBase = below
        self.lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        if self.lost is None:
            try:
                return self._below.write(data) or 0
            except OSError as error:
                self.lost = error
        return len(data)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._below.fileno()

    def isatty(self) -> bool:
        return self._below.isatty()


_outputs: list[_Forgiving] = []
"""What stands below standard output, where `prepare` put it there."""


def prepare() -> None:
    """Make standard output and standard error take any text, whatever they are connected to, and ours alone."""
    logging.getLogger().addHandler(logging.NullHandler())  # else Python prints what libraries warn of
    number = os.open(os.devnull, os.O_RDWR)
    while number <= 2:  # a closed one would become the next file that is opened, and libraries write to it
        number = os.dup(number)
    os.close(number)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - for the whole run
        elif isinstance(stream, io.TextIOWrapper):
            below = _Forgiving(getattr(stream.buffer, "raw", stream.buffer))  # PYTHONUNBUFFERED leaves out a layer
            setattr(sys, name, _text(below, stream))
            if name == "stdout":
                _outputs.append(below)


def _text(below: io.RawIOBase, like: io.TextIOWrapper) -> io.TextIOWrapper:
    """A text stream over `below` that escapes what its encoding lacks, and is otherwise as `like`."""
    text = io.TextIOWrapper(io.BufferedWriter(below), like.encoding, errors="backslashreplace")
    text.reconfigure(line_buffering=like.line_buffering, write_through=like.write_through)
    return text


def finish() -> None:
    """See to it that all is printed, and tell where standard output did not take it; a reader that left is no fault."""
    sys.stdout.flush()
    for below in _outputs:
        if below.lost is not None and not isinstance(below.lost, BrokenPipeError):
            notice(f"the result could not be printed ({below.lost.strerror})")


def show(text: str) -> None:
    """A line of result, for people."""
    sys.stdout.write(text + "\n")


def show_json(value: Any) -> None:
    """A result, for machines."""
    unicode = getattr(sys.stdout, "encoding", "") == "utf-8"  # elsewhere, JSON's own escapes
    show(json.dumps(value, indent=2, ensure_ascii=not unicode, allow_nan=False))


def notice(text: str) -> None:
    """A line beside the result: what was not as usual, and costs it nothing."""
    sys.stderr.write(f"turbo-webnn: {text}\n")


def fail(message: str, status: int, *, as_json: bool) -> int:
    """Say in one line why a request cannot be served; return the exit `status`."""
    if as_json:
        show_json({"error": message})
    notice(message)
    return status


@contextmanager
def progress(*, shown: bool) -> Iterator[ReportFraction]:
    """A bar for each thing that is reported; nothing where standard error is no terminal."""
    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield lambda _name, _doing, _fraction: None
        return
    columns = (TextColumn("{task.fields[name]:<16}"), TextColumn("{task.description:<10}"), BarColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def report(name: str, doing: str, fraction: float) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(doing, total=1.0, name=name)
            bars.update(tasks[name], description=doing, completed=fraction)

        yield report
