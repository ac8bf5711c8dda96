"""A side of the benchmark, seen from the process that compares them."""

from __future__ import annotations

from types import TracebackType

from turbo_webnn.models.child_process import ChildLostError
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.python_process import PythonProcess
from turbo_webnn.runtime.bench.protocol import Answer, Options, Question
from turbo_webnn.runtime.bench.report import Memory, Task


class SideProcess:
    """Starts `runtime.bench.worker` for `kind` with `options`, and ends it with the block.

    Raises:
        RequestError: by each method, with the side's own words where it refuses, or its last ones where it died.
    """

    def __init__(self, name: str, kind: str, options: Options) -> None:
        self.name = name
        self._options = options
        self._process = PythonProcess("turbo_webnn.runtime.bench.worker", kind)

    def __enter__(self) -> SideProcess:
        self._process.start()
        self._process.send(self._options)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.close()

    def wait_until_made(self) -> None:
        """Returns when the side is there."""
        self._answer()

    def seconds(self, task: Task) -> float | None:
        """What `task` takes; None where the side does not have it."""
        self._process.send(Question(task))
        return self._answer().seconds

    def memory(self) -> Memory:
        """The peak of memory so far."""
        self._process.send(Question())
        memory = self._answer().memory
        assert memory is not None
        return memory

    def _answer(self) -> Answer:
        try:
            answer = self._process.receive(Answer, f"what {self.name} answers")
        except ChildLostError as loss:
            complaints = loss.complaints.strip().splitlines()
            last = next(reversed(complaints), "it was killed, perhaps for want of memory")
            wrong = f"{self.name} ended with status {loss.status} ({last})"
            raise RequestError(wrong, "try it with fewer sides") from loss
        if answer.refused is not None:
            raise RequestError(f"{self.name}: {answer.refused}")
        return answer
