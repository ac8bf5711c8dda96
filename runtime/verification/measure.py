"""Measurement of one side on the reference's evidence: each component on the same inputs, and whole drawings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from turbo_webnn.models.progress import ReportRuns
from turbo_webnn.runtime.draw import images
from turbo_webnn.runtime.draw.drawer import Drawer
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.ort.sessions import Array
from turbo_webnn.runtime.verification.drawing import Case, Drawing
from turbo_webnn.runtime.verification.evidence import Evidence
from turbo_webnn.runtime.verification.parity import Figures, compare, compare_pictures

Run = Callable[[str, Mapping[str, Array]], Mapping[str, Float32Array]]
"""Runs a component: its name and its inputs are the arguments, its outputs the result."""


@dataclass(frozen=True)
class Comparison:
    """One compared output of a component; only a run of the UNet has a timestep."""

    case: str
    timestep: float | None = None


@dataclass
class Measurement:
    """The errors of a side against the reference.

    Attributes:
        components: figures by component, in the order of their runs.
        samples: the decoded pictures [batch, 3, H, W], in about -1…1.
        pictures: the figures of `samples` as pictures.
    """

    components: dict[str, dict[Comparison, Figures]] = field(default_factory=dict)
    samples: dict[Case, Float32Array] = field(default_factory=dict)
    pictures: dict[Case, Figures] = field(default_factory=dict)


def measure(
    side: Drawer[Array], run: Run, evidence: Evidence, components: Iterable[str], *, draw: bool, report: ReportRuns
) -> Measurement:
    """Run `components` of `side` on `evidence`, in their order; load and release each once.

    Args:
        side: the implementation to measure.
        run: runs one component of `side`.
        evidence: the inputs and outputs of the reference.
        components: names of the components to run.
        draw: whether to complete the drawings too; `components` must then be all that they need.
        report: receives the component, the number of its completed runs and their total.
    """
    measurement = Measurement()
    expected = evidence.samples if draw else {}
    drawings = [
        Drawing(reference_drawing.case, reference_drawing.ids, reference_drawing.picture)
        for reference_drawing in evidence.drawings
        if reference_drawing.case in expected
    ]
    for component in components:
        records = evidence.records.get(component, [])
        runs = len(records) + len(drawings)
        figures = measurement.components.setdefault(component, {})
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
        picture_pair = images.to_unit(expected[drawing.case]), images.to_unit(drawing.finished)
        measurement.samples[drawing.case] = drawing.finished
        measurement.pictures[drawing.case] = compare_pictures(*picture_pair)
    return measurement
