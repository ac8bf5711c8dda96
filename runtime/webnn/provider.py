"""The real WebNN execution provider of onnxruntime-web, over every limits table, without a browser."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx

from turbo_webnn.models.staging import scratch_folder
from turbo_webnn.runtime.webnn.node import Worker, WorkerLostError, require_packages
from turbo_webnn.runtime.webnn.target import Target, verdict_targets
from turbo_webnn.runtime.webnn.verdict import Refusal, reason_of, refusals_of
from turbo_webnn.runtime.webnn.weightless import ZEROS, read_weightless

Optimization = Literal["disabled", "all"]

# Published pages switch the optimiser off, others leave it on: whole means whole at both.
OPTIMIZATIONS: tuple[Optimization, ...] = ("disabled", "all")

# A full-size UNet takes seconds.
LIMIT_S = 300.0

SCRIPT = Path(__file__).parent / "web" / "provider.mjs"


@dataclass(frozen=True)
class PlacementVerdict:
    """Where the provider puts one graph, over one limits table, at one optimisation level.

    nodes, placed: nodes of the graph after that optimisation, and those of them that go to WebNN. All of them
        are not enough: `whole` is what onnxruntime says of the finished session.
    reason: why it is not whole, in one line; empty where it is.
    """

    model: Path
    target: str
    optimization: Optimization
    whole: bool
    nodes: int
    placed: int
    partitions: int
    refusals: tuple[Refusal, ...]
    reason: str


class Provider:
    """The provider in a Node process, which is started at need and anew after a crash.

    To be used in a `with`. Raises RequestError where Node or onnxruntime-web is missing.
    """

    def __init__(self) -> None:
        require_packages("onnxruntime-web")
        # Optimised, 27 MB of WebAssembly take half a minute to start.
        self._worker = Worker("the WebNN provider", SCRIPT, flags=["--liftoff-only"], grace_s=0)
        self._stack = ExitStack()
        self._folder = self._stack.enter_context(scratch_folder(Path(tempfile.gettempdir(), "check")))

    def __enter__(self) -> Provider:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.close()
        self._stack.close()

    def place(
        self, path: Path, targets: Sequence[Target], optimizations: Sequence[Optimization] = OPTIMIZATIONS
    ) -> Iterator[PlacementVerdict]:
        """The verdicts on the graph at `path`, for each target at each level.

        Weights are neither read nor held. Raises RequestError as `read_weightless` does.
        """
        weightless = read_weightless(path)
        twin = self._folder / "model.onnx"
        onnx.save(weightless.proto, twin)
        zeros = {"path": ZEROS, "bytes": weightless.largest} if weightless.largest else None
        for target in targets:
            for optimization in optimizations:
                job = {
                    "model": str(twin),
                    "zeros": zeros,
                    "limits": dict(target.limits),
                    "optimization": optimization,
                }
                yield _verdict(path, target, optimization, self._ask(job))

    def _ask(self, job: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._worker.ask(job, LIMIT_S)
        except WorkerLostError as loss:
            return {"whole": False, "error": str(loss)}


def check_provider(paths: Iterable[Path], targets: Sequence[Target] | None = None) -> list[PlacementVerdict]:
    """The provider's verdicts on the graphs at `paths`: each over every table, at every optimisation level.

    Raises RequestError where Node or onnxruntime-web is missing, or a path is no ONNX graph.
    """
    with Provider() as provider:
        return [
            verdict
            for path in paths
            for verdict in provider.place(path, verdict_targets() if targets is None else targets)
        ]


def _verdict(path: Path, target: Target, optimization: Optimization, answer: dict[str, Any]) -> PlacementVerdict:
    whole = bool(answer["whole"])
    refusals = () if whole else refusals_of(answer)
    return PlacementVerdict(
        model=path,
        target=target.name,
        optimization=optimization,
        whole=whole,
        nodes=answer.get("nodes", 0),
        placed=answer.get("placed", 0),
        partitions=answer.get("partitions", 0),
        refusals=refusals,
        reason="" if whole else reason_of(answer, refusals),
    )
