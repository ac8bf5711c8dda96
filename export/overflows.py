"""Which modules of a component float16 might not hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Overflows:
    """Modules by their path in the component, each with the largest absolute value that it computes itself.

    Attributes:
        results: modules that give such numbers to others.
        inside: modules that meet them only on the way: scores of attention, squares in a LayerNormalization.
    """

    results: Mapping[str, float] = field(default_factory=dict)
    inside: Mapping[str, float] = field(default_factory=dict)


NOTHING = Overflows()
