"""Child processes that exchange lines of JSON with their parent. They end when the parent's `with` block ends.

The parent has a `ChildProcess`: it sends requests to the child's standard input and receives messages from its
standard output. A child in Python has a `Parent`, the other end. Each line is one value. msgspec converts it to the
type that the receiver expects.
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
    """A child process ended, or was killed because it did not answer in time; the message says which.

    Attributes:
        status: the exit status of the process; negative for the signal that ended it.
        complaints: the text that the process wrote to its standard error.
    """

    def __init__(self, what: str, status: int, complaints: str) -> None:
        super().__init__(what)
        self.status = status
        self.complaints = complaints


def to_line(message: object) -> str:
    """Convert `message`, a dataclass or a JSON value, to one line of JSON without the line end."""
    return json.dumps(msgspec.to_builtins(message, str_keys=True, enc_hook=_to_json_value))


def read_messages(lines: Iterable[str], kind: type[Message], where: str) -> Iterator[Message]:
    """Read the values in `lines`. A last line without a line end is ignored: the process was killed while it wrote it.

    Args:
        lines: lines of JSON.
        kind: the type of a message.
        where: the name of the lines in error messages.

    Raises:
        RequestError: if a line contains no value of type `kind`.
    """
    for line in lines:
        if not line.endswith("\n"):
            return
        yield parse_json(line, kind, where, "report it as a defect")


class ChildProcess:
    """The process of `command`, from `start` to `close`, or from the beginning of a `with` block to its end.

    The command must end when its standard input ends, in case this process is killed. It does not receive Ctrl-C; this
    process ends it. Its own child processes end together with it.

    Args:
        environment: all environment variables of the process; None for those of this process.
        grace_s: seconds in which the process may end itself before it is killed; 0 to kill it at once.
    """

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, grace_s: float = 0.0
    ) -> None:
        self._command = list(command)
        self._environment = environment
        self._grace_s = grace_s

    def start(self) -> None:
        """Start the process.

        Raises:
            OSError: if there is no such program.
        """
        with ExitStack() as stack:
            # a file, because a pipe that is not read would become full
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
                start_new_session=True,  # so that its own child processes can be killed together with it
            )
            stack.callback(self.output.close)
            self._files = stack.pop_all()

    def close(self) -> None:
        """End the process: close its standard input, and kill it if it does not end in time."""
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
        """The process id."""
        return self._process.pid

    @property
    def output(self) -> IO[str]:
        """The standard output of the process."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def _input(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    def send(self, request: object) -> None:
        """Write `request` to the standard input of the process. Nothing is written if the process has ended."""
        with suppress(OSError):  # the next message, or the exit status, shows why
            self._input.write(to_line(request) + "\n")
            self._input.flush()

    def receive(self, kind: type[Message], where: str, *, limit_s: float | None = None) -> Message:
        """Receive the next message of the process.

        Args:
            kind: the type of the message.
            where: the name of the message in error messages.
            limit_s: seconds after which the process is killed; None for no limit.

        Raises:
            ChildLostError: if the process ends without a message.
            RequestError: if the message is no value of type `kind`.
        """
        with self._time_limit(limit_s) as expired:
            message = next(read_messages(self.output, kind, where), None)
            if message is not None:
                return message
            raise self.loss(f"no answer within {limit_s:g} s" if expired.is_set() else "the process has ended")

    def loss(self, what: str = "the process has ended") -> ChildLostError:
        """Wait for the end of the process; return the error that describes it."""
        return ChildLostError(what, self._process.wait(), self.complaints())

    def complaints(self) -> str:
        """The standard error of the process. Call this only after its end: it moves the file position."""
        self._complaints.seek(0)
        return self._complaints.read()

    @contextmanager
    def _time_limit(self, limit_s: float | None) -> Iterator[threading.Event]:
        """Kill the process if the block takes longer than `limit_s`. The event is then set."""
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

    From now on the prints of libraries go to standard error, because they are no messages.
    """

    def __init__(self) -> None:
        self._messages = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
        os.dup2(2, 1)
        self._lines: queue.Queue[str] | None = None

    def end_with_input(self) -> None:
        """Start a thread that ends this process at once when standard input ends."""
        lines = self._lines = queue.Queue()

        def read_requests() -> None:
            for line in sys.stdin:
                lines.put(line)
            os._exit(0)

        threading.Thread(target=read_requests, daemon=True).start()

    def receive(self, kind: type[Message]) -> Message:
        """Wait for the next request; return it.

        Raises:
            SystemExit: if the parent has ended.
            RequestError: if the request is no value of type `kind`.
        """
        line = sys.stdin.readline() if self._lines is None else self._lines.get()
        for request in read_messages([line], kind, "the request"):
            return request
        raise SystemExit(1)

    def send(self, message: object) -> None:
        """Write `message`."""
        self._messages.write(to_line(message) + "\n")


def _to_json_value(value: Any) -> Any:
    """A JSON value for a value whose type JSON does not have."""
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, SupportsIndex):  # an integer of numpy
        return operator.index(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
