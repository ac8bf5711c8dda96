"""Child processes that exchange lines of JSON with this one, and never outlive its block.

The parent holds a `ChildProcess`: it sends requests to the child's standard input and receives messages from its
standard output. A child in Python holds a `Parent`, the other end. Each line is one value; msgspec reads it into the
type that the receiver names.
"""

from __future__ import annotations

import json
import operator
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import PurePath
from types import TracebackType
from typing import IO, Any, Self, SupportsIndex, TypeVar

import msgspec

from turbo_webnn.models.json_file import parse_json

Message = TypeVar("Message")


class ChildLostError(Exception):
    """A child process ended, or was ended because it did not answer in time; the text says which.

    Attributes:
        status: its exit status; negative for the signal that ended it.
        complaints: what it wrote to its standard error.
    """

    def __init__(self, what: str, status: int, complaints: str) -> None:
        super().__init__(what)
        self.status = status
        self.complaints = complaints


def to_line(message: object) -> str:
    """`message`, a dataclass or what JSON has, as one line without its end."""
    return json.dumps(msgspec.to_builtins(message, str_keys=True, enc_hook=_plain))


def read_messages(lines: Iterable[str], kind: type[Message], where: str) -> Iterator[Message]:
    """The values that `lines` hold, up to a last line without end: the process was ended while it wrote that.

    Args:
        lines: of JSON.
        kind: the type of a message.
        where: what the lines are, for an error.

    Raises:
        RequestError: where a line holds no value of type `kind`.
    """
    for line in lines:
        if not line.endswith("\n"):
            return
        yield parse_json(line, kind, where, "report it as a defect")


class ChildProcess:
    """The process of `command`, from `start` to `close`, or from the beginning of a `with` block to its end.

    It is expected to end when its standard input does, should this process be killed. Ctrl-C reaches it through this
    process alone. Its own processes end with it.

    Args:
        environment: all its variables; None for those of this process.
        grace_s: seconds that it has at the end to close down by itself; 0 to end it at once.
    """

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, grace_s: float = 0.0
    ) -> None:
        self._command = list(command)
        self._environment = environment
        self._grace_s = grace_s

    def start(self) -> None:
        """Start it.

        Raises:
            OSError: where there is no such program.
        """
        with ExitStack() as stack:
            # a pipe that nobody reads would fill
            self._complaints = stack.enter_context(tempfile.TemporaryFile("w+", errors="replace"))
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=self._environment,
                start_new_session=True,  # so that its own processes end with it
            )
            stack.callback(self.output.close)
            self._files = stack.pop_all()

    def close(self) -> None:
        """End it: its input closes, and what has not ended in time is killed."""
        with suppress(OSError):  # a request that was not read
            self._input.close()
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(self._grace_s)
        finally:
            self._kill()
            self._process.wait()
            self._files.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def output(self) -> IO[str]:
        """Its standard output."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def _input(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    def send(self, request: object) -> None:
        """Write `request` to its standard input; a process that has ended takes none."""
        with suppress(OSError):  # what it answered, or its end, says why
            self._input.write(to_line(request) + "\n")
            self._input.flush()

    def receive(self, kind: type[Message], where: str, *, limit_s: float | None = None) -> Message:
        """Its next message.

        Args:
            kind: the type of the message.
            where: what the message is, for an error.
            limit_s: seconds after which it is killed; None for no limit.

        Raises:
            ChildLostError: where none comes.
            RequestError: where it is no value of type `kind`.
        """
        with self._time_limit(limit_s) as expired:
            message = next(read_messages(self.output, kind, where), None)
            if message is not None:
                return message
            raise self.loss(f"no answer within {limit_s:g} s" if expired.is_set() else "the process has ended")

    def loss(self, what: str = "the process has ended") -> ChildLostError:
        """The error that describes its end, for which this waits."""
        return ChildLostError(what, self._process.wait(), self.complaints())

    def complaints(self) -> str:
        """What it has written to its standard error, where it has ended; until then this would move where it writes."""
        self._complaints.seek(0)
        return self._complaints.read()

    @contextmanager
    def _time_limit(self, limit_s: float | None) -> Iterator[threading.Event]:
        """Kill it where the block takes longer; the event is set then."""
        expired = threading.Event()
        if limit_s is None:
            yield expired
            return

        def expire() -> None:
            expired.set()
            self._kill()

        timer = threading.Timer(limit_s, expire)
        timer.start()
        try:
            yield expired
        finally:
            timer.cancel()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()


class Parent:
    """The process that started this one: it sends requests to standard input and reads messages from standard output.

    What libraries print goes to standard error from now on, for it is no message.
    """

    def __init__(self) -> None:
        self._messages = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
        os.dup2(2, 1)
        self._lines: queue.Queue[str] | None = None

    def end_with_input(self) -> None:
        """From now on this process ends, whatever it is doing, when no request can come any more; starts a thread."""
        lines = self._lines = queue.Queue()

        def listen() -> None:
            for line in sys.stdin:
                lines.put(line)
            os._exit(0)

        threading.Thread(target=listen, daemon=True).start()

    def receive(self, kind: type[Message]) -> Message:
        """Its next request, for which this waits.

        Raises:
            SystemExit: where it has ended.
            RequestError: where it is no value of type `kind`.
        """
        line = sys.stdin.readline() if self._lines is None else self._lines.get()
        for request in read_messages([line], kind, "the request"):
            return request
        raise SystemExit(1)

    def send(self, message: object) -> None:
        """Write `message`."""
        self._messages.write(to_line(message) + "\n")


def _plain(value: Any) -> Any:
    """A value that JSON has for one of a type that it has not."""
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, SupportsIndex):  # a whole number of numpy's
        return operator.index(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
