"""The modules of a component whose values float16 might not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Overflows:
    """Modules by their path in the component, each with the largest absolute value that the module itself computes.

    Attributes:
        results: modules whose results are too large.
        inside: modules of which only intermediate values are too large: attention scores, or squares in a
            LayerNormalization.
    """

    results: Mapping[str, float] = field(default_factory=dict)
    inside: Mapping[str, float] = field(default_factory=dict)


NO_OVERFLOWS = Overflows()
