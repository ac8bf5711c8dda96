"""What many runs of one thing took, in few numbers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """Seconds of each round, in order."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Half of the rounds took no longer."""
        return statistics.median(self.seconds)

    @property
    def p10(self) -> float:
        """A tenth of the rounds took no longer."""
        return self._decile(1)

    @property
    def p90(self) -> float:
        """Nine tenths of the rounds took no longer."""
        return self._decile(9)

    def ratio(self, other: Latency) -> float:
        """The median over the rounds of this one's time to that of `other` in the same round.

        What slows the machine for a while slows both, and leaves their ratio.
        """
        return statistics.median(own / its for own, its in zip(self.seconds, other.seconds, strict=True))

    def to_json(self) -> dict[str, float]:
        """Milliseconds."""
        held = {"median_ms": self.median, "p10_ms": self.p10, "p90_ms": self.p90}
        return {name: round(1e3 * seconds, 3) for name, seconds in held.items()}

    def _decile(self, number: int) -> float:
        """Between two rounds by straight interpolation, as numpy's percentile."""
        return _deciles(self.seconds)[number - 1]


def _deciles(seconds: Sequence[float]) -> Sequence[float]:
    return statistics.quantiles(seconds, n=10, method="inclusive") if len(seconds) > 1 else [*seconds] * 9
