"""The error that float16 costs PyTorch itself, and how ours stands beside it.

err(ours, float32) / err(PyTorch in float16, float32), by component: near 1, an export adds nothing to what the
type costs. Errors are relative L2, root mean square over a component's comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from turbo_webnn.models.precision import Precision
from turbo_webnn.runtime.verification.parity import Figures

RATIO_GATES: dict[Precision, float] = {"fp16": 1.5}
"""What the ratio may be. Quantised weights err more than float16 does, by choice: they have no such gate."""

ROUNDING = 2.0**-11
"""float16's unit roundoff: what one rounding may do to a number. Errors below it are the rounding of the result and
say nothing of how it came about, so of two such errors neither is the better: both count as this."""

PICTURE_ROUNDING = 2.0**-9
"""Likewise of pictures, which are rounded to eight bits before anyone sees them."""


@dataclass(frozen=True)
class NoiseFloor:
    """Ours and PyTorch's error in float16 on one component, or on whole pictures.

    Attributes:
        ours: relative L2 against PyTorch in float32; NaN where ours is not finite.
        pytorch: the same of PyTorch in float16; infinite where it leaves that type's range.
        rounding: what smaller errors count as.
        limit: what the ratio may be; None where there is no gate.
    """

    component: str
    ours: float
    pytorch: float
    rounding: float
    limit: float | None

    @property
    def ratio(self) -> float:
        """Ours to PyTorch's, neither below the rounding; 0 where PyTorch itself left float16's range."""
        if math.isnan(self.ours):
            return math.nan
        return max(self.ours, self.rounding) / max(self.pytorch, self.rounding)

    @property
    def is_rounding(self) -> bool:
        """Whether both errors are below the rounding, so that their ratio is 1 by rule."""
        return max(self.ours, self.pytorch) < self.rounding

    @property
    def passed(self) -> bool:
        """Whether the ratio is within its limit. NaN is within none."""
        return self.limit is None or self.ratio <= self.limit

    def to_json(self) -> dict[str, Any]:
        """The figures and their gate; null where one is not finite."""
        held = {"ours": self.ours, "pytorch": self.pytorch, "ratio": self.ratio}
        finite = {name: value if math.isfinite(value) else None for name, value in held.items()}
        return {"component": self.component, "passed": self.passed, **finite, "limit": self.limit}


def noise_floor(
    component: str, ours: Iterable[Figures], pytorch: Iterable[Figures], precision: Precision
) -> NoiseFloor:
    """The floor of `component`, from the figures of both sides on the same comparisons."""
    errors, floors = list(ours), list(pytorch)
    rounding = PICTURE_ROUNDING if any(figures.ssim is not None for figures in errors) else ROUNDING
    return NoiseFloor(
        component,
        _root_mean_square(errors, math.nan),
        _root_mean_square(floors, math.inf),
        rounding,
        RATIO_GATES.get(precision),
    )


def _root_mean_square(figures: list[Figures], not_finite: float) -> float:
    if not all(each.finite for each in figures):
        return not_finite
    return math.sqrt(sum(each.relative_l2**2 for each in figures) / len(figures))
