"""One side of a benchmark, alone in its process: `python -m turbo_webnn.runtime.bench.worker KIND OPTIONS`.

Each line on standard input asks for one thing, each line on standard output answers it, both in JSON. Alone, a side's
memory is its own, and no library's idle threads are in another's way.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from queue import Queue
from threading import Thread
from typing import Any, Protocol

from turbo_webnn.models.errors import RequestError

SIDES = {
    "onnxruntime": "turbo_webnn.runtime.bench.onnxruntime_side",
    "pytorch": "turbo_webnn.runtime.bench.pytorch_side",
    "graphs": "turbo_webnn.runtime.bench.graphs_side",
}
"""Kinds of sides, and the module whose `side` makes one from its options."""


class Side(Protocol):
    """What is timed. A method returns seconds, or None for what the side does not have."""

    def run(self, component: str) -> float | None:
        """One run of `component` on the example."""

    def draw(self, steps: int) -> float | None:
        """One picture, from a prompt or its ids to pixels on the host."""

    def memory(self) -> dict[str, int | None]:
        """`host` and `device`: bytes at the peak so far; None where they cannot be known."""


def serve(side: Side, answers: Any) -> None:
    """Answer until nobody can ask any more, which ends the process whatever it is at."""
    questions: Queue[str] = Queue()

    def listen() -> None:
        for line in sys.stdin:
            questions.put(line)
        os._exit(0)

    Thread(target=listen, daemon=True).start()
    while True:
        asked = json.loads(questions.get())
        try:
            answer = {"answer": getattr(side, asked["ask"])(*asked["of"])}
        except RequestError as error:
            answer = {"refused": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def peak_host_bytes() -> int | None:
    """Of this process, resident at once; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Make the side and serve it. What libraries print goes to standard error."""
    kind, options = sys.argv[1], json.loads(sys.argv[2])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        side = import_module(SIDES[kind]).side(**options)
    except RequestError as error:
        answers.write(json.dumps({"refused": str(error)}) + "\n")
        return
    except ImportError as error:
        answers.write(
            json.dumps({"refused": f"{error.name} is not installed; pip install 'turbo-webnn[export]'"}) + "\n"
        )
        return
    answers.write(json.dumps({"answer": None}) + "\n")
    answers.flush()
    serve(side, answers)


if __name__ == "__main__":
    main()
