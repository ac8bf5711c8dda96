"""One side on the reference's evidence: each component on the same inputs, and the same drawings end to end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from turbo_webnn.models.progress import ReportRuns
from turbo_webnn.runtime.draw import images
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.ort.sessions import Array
from turbo_webnn.runtime.verification.drawing import Case, Drawing, Side
from turbo_webnn.runtime.verification.evidence import Evidence
from turbo_webnn.runtime.verification.parity import Figures, compare, compare_pictures

Run = Callable[[str, Mapping[str, Array]], Mapping[str, Float32Array]]
"""A component, by name, and its inputs in; its outputs out."""


@dataclass(frozen=True)
class Comparison:
    """What was compared on one run of a component; only the UNet's has a timestep."""

    case: str
    timestep: float | None = None


@dataclass
class Measured:
    """How far a side is from the reference.

    Attributes:
        components: by component, in the order of their runs.
        samples: what it drew, [batch, 3, H, W] in about -1…1.
        pictures: the figures of `samples` as they are shown.
    """

    components: dict[str, dict[Comparison, Figures]] = field(default_factory=dict)
    samples: dict[Case, Float32Array] = field(default_factory=dict)
    pictures: dict[Case, Figures] = field(default_factory=dict)


def measure(
    side: Side, run: Run, evidence: Evidence, components: Iterable[str], *, draw: bool, report: ReportRuns
) -> Measured:
    """Run `components` of `side` on `evidence`, in their order, each being loaded once and released.

    Args:
        side: the implementation to measure.
        run: of `side`, a component at a time.
        evidence: the inputs and outputs of the reference.
        components: names of the components to run.
        draw: whether the drawings go along; `components` are all that they need then.
        report: receives the component, the number of its completed runs and their total.
    """
    measured = Measured()
    expected = evidence.samples if draw else {}
    drawings = [Drawing(held.case, held.ids, held.picture) for held in evidence.drawings if held.case in expected]
    for component in components:
        records = evidence.records.get(component, [])
        runs = len(records) + len(drawings)
        figures = measured.components.setdefault(component, {})
        for done, record in enumerate(records):
            report(component, done, runs)
            outputs = run(component, record.inputs)
            for name, output in record.outputs.items():
                case = record.case if len(record.outputs) == 1 else f"{name}, {record.case}"
                figures[Comparison(case, record.timestep)] = compare(output, outputs[name])
        for done, drawing in enumerate(drawings, len(records)):
            report(component, done, runs)
            drawing.advance(side, component)
        side.release(component)
        report(component, runs, runs)
    for drawing in drawings:
        shown = images.to_unit(expected[drawing.case]), images.to_unit(drawing.finished)
        measured.samples[drawing.case] = drawing.finished
        measured.pictures[drawing.case] = compare_pictures(*shown)
    return measured
