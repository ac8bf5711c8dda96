"""One side of a benchmark, alone in its process: `python -m turbo_webnn.runtime.bench.worker KIND`.

The first line on standard input has the side's options, each later one a question (`runtime.bench.protocol`). Alone, a
side's memory is its own, and no library's idle threads are in another's way.
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
"""Kinds of sides: the module whose `side` makes one from its options, and the type of these."""


class Side(Protocol):
    """What is timed. A method returns seconds, or None for what the side does not have."""

    def run(self, component: str) -> float | None:
        """One run of `component` on the example."""

    def draw(self, steps: int) -> float | None:
        """One picture, from a prompt or its ids to pixels on the host."""

    def memory(self) -> Memory:
        """Bytes at the peak so far."""


def serve(side: Side, parent: Parent) -> None:
    """Answer question after question, without end."""
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
    """Of this process, resident at once; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Make the side and serve it, until nobody can ask any more."""
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
