"""What a benchmark found, for machines; `scripts.tables` writes it for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turbo_webnn.models.component import Size
from turbo_webnn.runtime.bench.latency import Latency

OURS = "turbo-webnn"
"""The side that the others are compared with."""


@dataclass(frozen=True)
class Task:
    """A component's run, or a drawing of so many steps."""

    component: str | None = None
    steps: int | None = None

    def __str__(self) -> str:
        return self.component or f"{self.steps} step{'s' * (self.steps != 1)}"


@dataclass(frozen=True)
class Memory:
    """Bytes at the peak; None where they cannot be known."""

    host: int | None
    device: int | None


@dataclass(frozen=True)
class BenchReport:
    """One bundle's figures.

    Attributes:
        bundle: its folder.
        latencies: by task, and by side; a side that does not have a task is not in it.
        memory: by side, at the end.
        settings: of onnxruntime.
    """

    bundle: str
    size: Size
    precision: str
    provider: str
    settings: Mapping[str, Any]
    latencies: Mapping[Task, Mapping[str, Latency]]
    memory: Mapping[str, Memory]

    def ratio(self, task: Task, side: str) -> float | None:
        """Our time to that of `side`: below 1 where we are ahead. None for ourselves."""
        held = self.latencies[task]
        return None if side == OURS else held[OURS].ratio(held[side])

    def throughput(self, task: Task, side: str) -> float | None:
        """Pictures a second; None for a component."""
        return None if task.steps is None else self.size.batch / self.latencies[task][side].median

    def to_json(self) -> dict[str, Any]:
        """The report as it is printed: milliseconds, bytes, and our time to the other's."""
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
            "peak_bytes": {side: {"host": held.host, "device": held.device} for side, held in self.memory.items()},
        }


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 4)
