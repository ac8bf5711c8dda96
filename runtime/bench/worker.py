"""The process of one side of a benchmark: `python -m turbo_webnn.runtime.bench.worker KIND`.

The first line on standard input contains the side's options, each later line a question (`runtime.bench.protocol`).
In its own process, a side's memory can be measured, and idle threads of one library do not disturb another.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Protocol

from turbo_webnn.models.child_process import Parent
from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.bench.protocol import (
    Answer,
    GraphsOptions,
    OnnxruntimeOptions,
    Options,
    PytorchOptions,
    Question,
)
from turbo_webnn.runtime.bench.report import Memory

SIDES: dict[str, tuple[str, type[Options]]] = {
    "onnxruntime": ("turbo_webnn.runtime.bench.onnxruntime_side", OnnxruntimeOptions),
    "pytorch": ("turbo_webnn.runtime.bench.pytorch_side", PytorchOptions),
    "graphs": ("turbo_webnn.runtime.bench.graphs_side", GraphsOptions),
}
"""For each kind of side: the module with the function `side`, which makes it, and the type of its options."""


class Side(Protocol):
    """A side. `run` and `draw` return seconds, or None where the side does not support the task."""

    def run(self, component: str) -> float | None:
        """Time one run of `component` on the example inputs."""

    def draw(self, steps: int) -> float | None:
        """Time one drawing, from a prompt or its token ids to pixels on the host."""

    def memory(self) -> Memory:
        """The peaks of memory so far."""


def serve(side: Side, parent: Parent) -> None:
    """Answer questions without end. `Parent` ends the process when its standard input is closed."""
    while True:
        question = parent.receive(Question)
        try:
            answer = _answer(side, question)
        except RequestError as error:
            answer = Answer(refused=str(error))
        parent.send(answer)


def _answer(side: Side, question: Question) -> Answer:
    task = question.task
    if task is None:
        return Answer(memory=side.memory())
    if task.component is not None:
        return Answer(seconds=side.run(task.component))
    assert task.steps is not None
    return Answer(seconds=side.draw(task.steps))


def peak_host_bytes() -> int | None:
    """The peak of resident memory of this process; None where the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Make the side, and answer questions until standard input is closed."""
    parent = Parent()
    module, options = SIDES[sys.argv[1]]
    parent.end_with_input()
    try:
        side = import_module(module).side(parent.receive(options))
    except RequestError as error:
        parent.send(Answer(refused=str(error)))
        return
    except ImportError as error:
        parent.send(Answer(refused=f"{error.name} is not installed; pip install 'turbo-webnn[export]'"))
        return
    parent.send(Answer())
    serve(side, parent)


if __name__ == "__main__":
    main()
