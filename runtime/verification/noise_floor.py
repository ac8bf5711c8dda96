"""The error of PyTorch itself in float16, and the ratio of the bundle's error to it.

The ratio is err(ours, float32) / err(PyTorch in float16, float32), by component. Near 1, the export adds no error to
that of the type. Errors are relative L2, as the root mean square over the comparisons of a component.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from turbo_webnn.models.precision import Precision
from turbo_webnn.runtime.verification.parity import Figures

RATIO_GATES: dict[Precision, float] = {"fp16": 1.5}
"""The largest permitted ratio. Quantised weights have larger errors than float16 by design, and no such gate."""

ROUNDING = 2.0**-11
"""The unit roundoff of float16: the largest relative error of one rounding.

Smaller errors come from the rounding of the result, not from its computation. They all count as this value, so that
two of them are equal."""

PICTURE_ROUNDING = 2.0**-9
"""The same for pictures, which are rounded to eight bits."""


@dataclass(frozen=True)
class NoiseFloor:
    """The errors of the bundle and of PyTorch in float16 on one component, or on whole pictures.

    Attributes:
        component: the name of the component, or of the row of whole pictures.
        ours: relative L2 against PyTorch in float32; NaN where an output is not finite.
        pytorch: the same for PyTorch in float16; infinite where it overflows the type's range.
        rounding: the value that smaller errors count as.
        limit: the largest permitted ratio; None where there is no gate.
    """

    component: str
    ours: float
    pytorch: float
    rounding: float
    limit: float | None

    @property
    def ratio(self) -> float:
        """The bundle's error divided by PyTorch's, both at least the rounding; 0 where PyTorch overflows float16."""
        if math.isnan(self.ours):
            return math.nan
        return max(self.ours, self.rounding) / max(self.pytorch, self.rounding)

    @property
    def is_rounding(self) -> bool:
        """Whether both errors are below the rounding, so that their ratio is 1 by rule."""
        return max(self.ours, self.pytorch) < self.rounding

    @property
    def passed(self) -> bool:
        """Whether the ratio is within its limit; NaN never is."""
        return self.limit is None or self.ratio <= self.limit

    def to_json(self) -> dict[str, Any]:
        """The figures and their gate as JSON; null for a figure that is not finite."""
        values = {"ours": self.ours, "pytorch": self.pytorch, "ratio": self.ratio}
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        return {"component": self.component, "passed": self.passed, **finite, "limit": self.limit}


def noise_floor(
    component: str, ours: Iterable[Figures], pytorch: Iterable[Figures], precision: Precision
) -> NoiseFloor:
    """Compute the noise floor of `component` from the figures of both sides on the same comparisons."""
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
    if not all(item.finite for item in figures):
        return not_finite
    return math.sqrt(sum(item.relative_l2**2 for item in figures) / len(figures))
