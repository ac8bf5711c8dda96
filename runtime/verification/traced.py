"""What a trace says of one value inside a component."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Traced:
    """One module's output, ours against PyTorch's.

    Attributes:
        module: its path in the PyTorch module, as the graph's nodes are named.
        relative_l2: against PyTorch in float32; infinite where ours is not finite.
        growth: how many times the worst error among the traced values that it is computed from; errors below the
            rounding of the bundle's type count as that.
    """

    component: str
    module: str
    relative_l2: float
    growth: float

    def to_json(self) -> dict[str, Any]:
        """The figures; null where one is not finite."""
        held = {"relative_l2": self.relative_l2, "growth": self.growth}
        finite = {name: value if math.isfinite(value) else None for name, value in held.items()}
        return {"component": self.component, "module": self.module, **finite}
