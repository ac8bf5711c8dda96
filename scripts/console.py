"""The output of the command: results on standard output, progress and errors on standard error.

A console that is closed, full or not UTF-8 never fails a run: characters that it cannot show are escaped, and output
that it does not accept is dropped.
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


class _NeverFailingStream(io.RawIOBase):
    """A stream that never fails: it drops output after the first error of the wrapped stream.

    Attributes:
        lost: the first error of the wrapped stream; None where there was none.
    """

    def __init__(self, wrapped: Any) -> None:
        self._wrapped: io.RawIOBase = wrapped
        self.lost: OSError | None = None

    def write(self, data: Any, /) -> int:
        if self.lost is None:
            try:
                return self._wrapped.write(data) or 0
            except OSError as error:
                self.lost = error
        return len(data)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._wrapped.fileno()

    def isatty(self) -> bool:
        return self._wrapped.isatty()


_outputs: list[_NeverFailingStream] = []
"""The streams that `prepare` has inserted below standard output."""


def prepare() -> None:
    """Make standard output and standard error accept any text, and only the output of this command."""
    logging.getLogger().addHandler(logging.NullHandler())  # otherwise Python prints the warnings of libraries
    number = os.open(os.devnull, os.O_RDWR)
    while number <= 2:  # otherwise the next opened file would get the number of a closed stream
        number = os.dup(number)
    os.close(number)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # the stream is closed
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - stays open for the whole run
        elif isinstance(stream, io.TextIOWrapper):
            # with PYTHONUNBUFFERED there is one layer less
            safe_stream = _NeverFailingStream(getattr(stream.buffer, "raw", stream.buffer))
            setattr(sys, name, _text_stream(safe_stream, stream))
            if name == "stdout":
                _outputs.append(safe_stream)


def _text_stream(wrapped: io.RawIOBase, like: io.TextIOWrapper) -> io.TextIOWrapper:
    """Make a text stream over `wrapped` with the settings of `like`, which escapes characters outside its encoding."""
    text = io.TextIOWrapper(io.BufferedWriter(wrapped), like.encoding, errors="backslashreplace")
    text.reconfigure(line_buffering=like.line_buffering, write_through=like.write_through)
    return text


def finish() -> None:
    """Flush standard output, and report an error of it; a closed pipe is no error."""
    sys.stdout.flush()
    for safe_stream in _outputs:
        if safe_stream.lost is not None and not isinstance(safe_stream.lost, BrokenPipeError):
            notice(f"the result could not be printed ({safe_stream.lost.strerror})")


def show(text: str) -> None:
    """Print a line of the result as text."""
    sys.stdout.write(text + "\n")


def show_json(value: Any) -> None:
    """Print a result as JSON."""
    is_utf8 = getattr(sys.stdout, "encoding", "") == "utf-8"  # other encodings get JSON's escapes
    show(json.dumps(value, indent=2, ensure_ascii=not is_utf8, allow_nan=False))


def notice(text: str) -> None:
    """Print a line about an unusual event that does not change the result."""
    sys.stderr.write(f"turbo-webnn: {text}\n")


def fail(message: str, status: int, *, as_json: bool) -> int:
    """Print in one line why a request cannot be served; return the exit `status`."""
    if as_json:
        show_json({"error": message})
    notice(message)
    return status


@contextmanager
def progress(*, shown: bool) -> Iterator[ReportFraction]:
    """Show a progress bar for each reported component; show nothing where standard error is no terminal."""
    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield lambda _name, _activity, _fraction: None
        return
    columns = (TextColumn("{task.fields[name]:<16}"), TextColumn("{task.description:<10}"), BarColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def report(name: str, activity: str, fraction: float) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(activity, total=1.0, name=name)
            bars.update(tasks[name], description=activity, completed=fraction)

        yield report
