"""The verdict: what was compared with what, how far apart they are, and whether that passes."""

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
        floor: the figures of PyTorch in float16 on the same comparison; None where they were not asked for.
        timestep: of the UNet, where its component is compared.
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
        """The row as it is written."""
        head = {"component": self.component, "case": self.case, "passed": self.passed}
        floor = None if self.floor is None else self.floor.to_json()
        figures = {**self.figures.to_json(), "gate": self.gate.to_json(), "floor": floor}
        return {**head, **figures, "timestep": self.timestep}


@dataclass(frozen=True)
class ParityReport:
    """All comparisons of a bundle with its reference.

    Attributes:
        precision: the bundle's.
        source: name, revision, variant and licence of the checkpoint that the bundle was made from.
        reference: the same of the checkpoint that it was compared with.
        provider: what onnxruntime ran on.
        environment: versions and processor.
        seconds: spent on each side.
        noise: by component and for whole pictures; empty where the bundle is not float16.
        traced: the values inside of components, the worst first; empty where none were asked for.
    """

    rows: tuple[Row, ...]
    noise: tuple[NoiseFloor, ...]
    traced: tuple[Traced, ...]
    precision: str
    source: Mapping[str, Any]
    reference: Mapping[str, Any]
    provider: str
    environment: Mapping[str, str]
    seconds: Mapping[str, float]

    @property
    def passed(self) -> bool:
        """Whether there are rows, and every one passes, and every component's error is near PyTorch's own."""
        near = all(row.passed for row in self.rows) and all(floor.passed for floor in self.noise)
        return bool(self.rows) and near

    def to_json(self) -> dict[str, Any]:
        """The report as it is written."""
        return {
            "passed": self.passed,
            "precision": self.precision,
            "source": dict(self.source),
            "reference": dict(self.reference),
            "provider": self.provider,
            "environment": dict(self.environment),
            "seconds": {side: round(spent, 3) for side, spent in self.seconds.items()},
            "noise": [floor.to_json() for floor in self.noise],
            "rows": [row.to_json() for row in self.rows],
            "traced": [value.to_json() for value in self.traced],
        }
