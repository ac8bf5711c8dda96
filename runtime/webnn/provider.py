"""Run the real WebNN execution provider of onnxruntime-web with each limits table, without a browser."""

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

# Some published pages switch the optimiser off, others leave it on. A graph must be whole at both levels.
OPTIMIZATIONS: tuple[Optimization, ...] = ("disabled", "all")

# A full-size UNet takes seconds.
LIMIT_S = 300.0

SCRIPT = Path(__file__).parent / "web" / "provider.mjs"


@dataclass(frozen=True)
class PlacementVerdict:
    """The placement of one graph with one limits table at one optimisation level.

    Attributes:
        model: the path of the graph.
        target: the name of the table.
        optimization: the optimisation level of onnxruntime.
        whole: whether onnxruntime reports that the whole session is on WebNN. `placed == nodes` alone does not prove
            it.
        nodes: the number of nodes after optimisation.
        placed: the number of nodes on WebNN.
        partitions: the number of partitions on WebNN.
        refusals: the nodes that the provider refuses.
        reason: the reason why the graph is not whole, in one line; empty where it is.
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
    """The provider in a Node process, which starts at the first request and again after a crash.

    It is a context manager.

    Raises:
        RequestError: where Node or onnxruntime-web is missing.
    """

    def __init__(self) -> None:
        require_packages("onnxruntime-web")
        # With optimisation, compiling 27 MB of WebAssembly takes half a minute.
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
        """Place the graph at `path` for each target and optimisation level, without reading its weights.

        Raises:
            RequestError: as for `read_weightless`.
        """
        weightless = read_weightless(path)
        weightless_path = self._folder / "model.onnx"
        onnx.save(weightless.proto, weightless_path)
        zeros = {"path": ZEROS, "bytes": weightless.largest} if weightless.largest else None
        for target in targets:
            for optimization in optimizations:
                job = {
                    "model": str(weightless_path),
                    "zeros": zeros,
                    "limits": dict(target.limits),
                    "optimization": optimization,
                }
                yield _verdict(path, target, optimization, self._request(job))

    def _request(self, job: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._worker.request(job, LIMIT_S)
        except WorkerLostError as loss:
            return {"whole": False, "error": str(loss)}


def check_provider(paths: Iterable[Path], targets: Sequence[Target] | None = None) -> list[PlacementVerdict]:
    """Place the graphs at `paths` for each target and optimisation level.

    Args:
        paths: the paths of the graphs.
        targets: the targets; all that take part in verdicts where None.

    Raises:
        RequestError: where Node or onnxruntime-web is missing, or a file is no ONNX graph.
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
