"""The process of a side, from the view of the benchmark."""

from __future__ import annotations

from types import TracebackType

from turbo_webnn.models.child_process import ChildLostError
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.python_process import PythonProcess
from turbo_webnn.runtime.bench.protocol import Answer, Options, Question
from turbo_webnn.runtime.bench.report import Memory, Task


class SideProcess:
    """A process of `runtime.bench.worker`, which starts and ends with the `with` block.

    Args:
        name: the name of the side in messages and in the report.
        kind: the kind of the side, a key of `runtime.bench.worker.SIDES`.
        options: the options of the side.

    Raises:
        RequestError: by each method, with the message of the side where it refuses, or its last output where it ended.
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

    def wait_until_ready(self) -> None:
        """Wait until the side is ready for questions."""
        self._receive()

    def seconds(self, task: Task) -> float | None:
        """Measure the duration of `task`; None where the side does not support it."""
        self._process.send(Question(task))
        return self._receive().seconds

    def memory(self) -> Memory:
        """Measure the peak of memory so far."""
        self._process.send(Question())
        memory = self._receive().memory
        assert memory is not None
        return memory

    def _receive(self) -> Answer:
        try:
            answer = self._process.receive(Answer, f"what {self.name} answers")
        except ChildLostError as loss:
            error_lines = loss.complaints.strip().splitlines()
            last_line = next(reversed(error_lines), "it was killed, perhaps for want of memory")
            wrong = f"{self.name} ended with status {loss.status} ({last_line})"
            raise RequestError(wrong, "try it with fewer sides") from loss
        if answer.refused is not None:
            raise RequestError(f"{self.name}: {answer.refused}")
        return answer
