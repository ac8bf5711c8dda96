"""Statistics of the durations of many rounds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """The duration of each round, in order."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median in seconds."""
        return statistics.median(self.seconds)

    @property
    def p10(self) -> float:
        """The tenth percentile in seconds."""
        return self._decile(1)

    @property
    def p90(self) -> float:
        """The ninetieth percentile in seconds."""
        return self._decile(9)

    def ratio(self, other: Latency) -> float:
        """The median over the rounds of the ratio of this duration to that of `other` in the same round.

        A temporary slowdown of the machine affects both durations of a round, and hardly changes their ratio.
        """
        return statistics.median(ours / theirs for ours, theirs in zip(self.seconds, other.seconds, strict=True))

    def to_json(self) -> dict[str, float]:
        """The statistics in milliseconds."""
        statistics_s = {"median_ms": self.median, "p10_ms": self.p10, "p90_ms": self.p90}
        return {name: round(1e3 * seconds, 3) for name, seconds in statistics_s.items()}

    def _decile(self, number: int) -> float:
        """The decile with linear interpolation between rounds, as numpy's percentile."""
        return _deciles(self.seconds)[number - 1]


def _deciles(seconds: Sequence[float]) -> Sequence[float]:
    return statistics.quantiles(seconds, n=10, method="inclusive") if len(seconds) > 1 else [*seconds] * 9
