"""The report of a verification: the comparisons, their figures and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from turbo_webnn.runtime.verification.noise_floor import NoiseFloor
from turbo_webnn.runtime.verification.parity import Figures, Gate
from turbo_webnn.runtime.verification.traced import Traced


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        floor: the figures of PyTorch in float16 on the same comparison; None where they were not computed.
        timestep: of a run of the UNet; None for other components.
    """

    component: str
    case: str
    figures: Figures
    gate: Gate
    floor: Figures | None = None
    timestep: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the figures reach the gate."""
        return self.gate.passes(self.figures)

    def to_json(self) -> dict[str, Any]:
        """The row as JSON."""
        head = {"component": self.component, "case": self.case, "passed": self.passed}
        floor = None if self.floor is None else self.floor.to_json()
        figures = {**self.figures.to_json(), "gate": self.gate.to_json(), "floor": floor}
        return {**head, **figures, "timestep": self.timestep}


@dataclass(frozen=True)
class ParityReport:
    """All comparisons of a bundle with its reference.

    Attributes:
        rows: the comparisons.
        noise: the noise floors by component and for whole pictures; empty where the bundle is not float16.
        traced: the values inside components, the worst first; empty without a trace.
        precision: of the bundle.
        source: name, revision, variant and licence of the bundle's checkpoint.
        reference: the same for the checkpoint of the reference.
        compared_with: what computes on the side of the reference: the pipeline class of diffusers, modules of PyTorch
            one by one, or another bundle.
        provider: the onnxruntime provider.
        environment: versions and processor.
        seconds: the duration by side.
    """

    rows: tuple[Row, ...]
    noise: tuple[NoiseFloor, ...]
    traced: tuple[Traced, ...]
    precision: str
    source: Mapping[str, Any]
    reference: Mapping[str, Any]
    compared_with: str
    provider: str
    environment: Mapping[str, str]
    seconds: Mapping[str, float]

    @property
    def passed(self) -> bool:
        """Whether there are rows, every row passes, and every noise floor passes."""
        near = all(row.passed for row in self.rows) and all(floor.passed for floor in self.noise)
        return bool(self.rows) and near

    def to_json(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "passed": self.passed,
            "precision": self.precision,
            "source": dict(self.source),
            "reference": dict(self.reference),
            "compared_with": self.compared_with,
            "provider": self.provider,
            "environment": dict(self.environment),
            "seconds": {side: round(duration, 3) for side, duration in self.seconds.items()},
            "noise": [floor.to_json() for floor in self.noise],
            "rows": [row.to_json() for row in self.rows],
            "traced": [value.to_json() for value in self.traced],
        }
