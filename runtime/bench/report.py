"""The result of a benchmark, for programs. `scripts.tables` formats it for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turbo_webnn.models.component import Size
from turbo_webnn.runtime.bench.latency import Latency

OURS = "turbo-webnn"
"""The name of our side, which the others are compared with."""


@dataclass(frozen=True)
class Task:
    """What is timed: a run of `component`, or a drawing of `steps` steps."""

    component: str | None = None
    steps: int | None = None

    def __str__(self) -> str:
        return self.component or f"{self.steps} step{'s' * (self.steps != 1)}"


@dataclass(frozen=True)
class Memory:
    """Peaks of memory in bytes; None where they cannot be measured."""

    host: int | None
    device: int | None


@dataclass(frozen=True)
class BenchReport:
    """The figures of one bundle.

    Attributes:
        bundle: the folder of the bundle.
        latencies: latencies by task and side; a side that does not support a task is missing there.
        memory: peaks of memory by side.
        settings: the settings of onnxruntime.
    """

    bundle: str
    size: Size
    precision: str
    provider: str
    settings: Mapping[str, Any]
    latencies: Mapping[Task, Mapping[str, Latency]]
    memory: Mapping[str, Memory]

    def ratio(self, task: Task, side: str) -> float | None:
        """The ratio of our time to that of `side`: below 1 where we are faster. None for our own side."""
        by_side = self.latencies[task]
        return None if side == OURS else by_side[OURS].ratio(by_side[side])

    def throughput(self, task: Task, side: str) -> float | None:
        """Pictures per second; None for a component."""
        return None if task.steps is None else self.size.batch / self.latencies[task][side].median

    def to_json(self) -> dict[str, Any]:
        """The report as JSON: milliseconds, bytes, and the ratios of our time to the others'."""
        return {
            "bundle": self.bundle,
            "batch": self.size.batch,
            "height": self.size.height,
            "width": self.size.width,
            "precision": self.precision,
            "provider": self.provider,
            "settings": dict(self.settings),
            "rows": [
                {
                    "task": str(task),
                    "side": side,
                    "rounds": len(latency.seconds),
                    **latency.to_json(),
                    "ratio": _rounded(self.ratio(task, side)),
                    "pictures_per_s": _rounded(self.throughput(task, side)),
                }
                for task, sides in self.latencies.items()
                for side, latency in sides.items()
            ],
            "peak_bytes": {side: {"host": peak.host, "device": peak.device} for side, peak in self.memory.items()},
        }


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 4)
