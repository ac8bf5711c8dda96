"""The verdict: what was compared with what, how far apart they are, and whether that passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import RequestError
from models.json_file import write_json
from runtime.parity import Figures, Gate

PARITY = "report/parity.json"
"""Where a bundle keeps its report."""


@dataclass(frozen=True)
class Row:
    """One comparison."""

    component: str
    case: str
    figures: Figures
    gate: Gate

    @property
    def passed(self) -> bool:
        """Whether the figures reach the gate."""
        return self.gate.passes(self.figures)

    def to_json(self) -> dict[str, Any]:
        """The row as it is written."""
        head = {"component": self.component, "case": self.case, "passed": self.passed}
        return {**head, **self.figures.to_json(), "gate": self.gate.to_json()}


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
    """

    rows: tuple[Row, ...]
    precision: str
    source: Mapping[str, str | None]
    reference: Mapping[str, str | None]
    provider: str
    environment: Mapping[str, str]
    seconds: Mapping[str, float]

    @property
    def passed(self) -> bool:
        """Whether there are rows, and every one passes."""
        return bool(self.rows) and all(row.passed for row in self.rows)

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
            "rows": [row.to_json() for row in self.rows],
        }

    def write(self, bundle: Path) -> Path:
        """Write the report into the bundle at `bundle`, whole or not at all; return its path.

        Raises:
            RequestError: where it cannot be written.
        """
        path = bundle / PARITY
        stage = path.with_name(f".{path.name}.new")
        try:
            write_json(stage, self.to_json())
            stage.replace(path)
        except OSError as error:
            raise RequestError(
                f"{path} cannot be written ({error.strerror})", "free some space, or permit it"
            ) from error
        finally:
            stage.unlink(missing_ok=True)
        return path
