"""The result of a trace for one value inside a component."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Traced:
    """The output of one module, compared with PyTorch's.

    Attributes:
        component: the component of the module.
        module: the path of the module in PyTorch and in the names of the graph's nodes.
        relative_l2: the error against PyTorch in float32; infinite where the value is not finite.
        growth: the error divided by the largest error among the traced values that it is computed from. Errors below
            the rounding of the bundle's type count as that rounding.
    """

    component: str
    module: str
    relative_l2: float
    growth: float

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON; null for a figure that is not finite."""
        figures = {"relative_l2": self.relative_l2, "growth": self.growth}
        finite = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        return {"component": self.component, "module": self.module, **finite}
