"""The recorded evidence of the reference: inputs and outputs of its components, and its finished drawings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from turbo_webnn.models.progress import ReportRuns
from turbo_webnn.runtime.draw import images
from turbo_webnn.runtime.draw.conditions import TokenIds
from turbo_webnn.runtime.draw.drawer import Drawer
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.ort.sessions import Array
from turbo_webnn.runtime.verification.drawing import Case, Drawing

Recorder = Callable[[str, Mapping[str, Array], Mapping[str, Float32Array]], None]
"""Receives every run of a component: its name, and its inputs and outputs by name."""


@dataclass(frozen=True)
class Record:
    """One run of a component; only a run of the UNet has a timestep."""

    case: str
    timestep: float | None
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Float32Array]


@dataclass
class Evidence:
    """Runs by component, and drawings up to the last component that the bundle needs."""

    drawings: list[Drawing]
    records: dict[str, list[Record]] = field(default_factory=dict)

    @property
    def samples(self) -> dict[Case, Float32Array]:
        """The decoded pictures [batch, 3, H, W] by case."""
        return {drawing.case: drawing.sample for drawing in self.drawings if drawing.sample is not None}

    def recorder(self, case: Case) -> Recorder:
        """Make a recorder that keeps the runs of the components that `case` measures."""

        def record(component: str, inputs: Mapping[str, Array], outputs: Mapping[str, Float32Array]) -> None:
            if component in case.measured:
                timestep = float(inputs["timestep"][0]) if "timestep" in inputs else None
                name = str(case) if timestep is None else f"timestep {timestep:g}, {case}"
                self.records.setdefault(component, []).append(Record(name, timestep, inputs, outputs))

        return record


class ReferenceSide(Protocol):
    """What a bundle is compared with.

    Attributes:
        description: what computes, for the report.
    """

    description: str

    def token_ids(self, prompt: str) -> TokenIds:
        """The token ids [1, tokens] of `prompt`, by text encoder."""

    def gather(self, drawings: Sequence[Drawing], components: Iterable[str], report: ReportRuns) -> Evidence:
        """Complete `drawings` as far as `components` need, and record the runs that they measure.

        Args:
            drawings: the drawings, with their token ids.
            components: the names of the bundle's components.
            report: receives the component, the number of its completed drawings and their total.
        """


class RecordingSide(Drawer[Array]):
    """A side of which the components run one by one, each released before the next one loads.

    Attributes:
        record: receives every run of a component, where it is not None.
    """

    record: Recorder | None = None

    def gather(self, drawings: Sequence[Drawing], components: Iterable[str], report: ReportRuns) -> Evidence:
        """Draw component by component until all `components` have inputs."""
        return _gather(self, drawings, components, report)


def _gather(
    reference: RecordingSide, drawings: Sequence[Drawing], components: Iterable[str], report: ReportRuns
) -> Evidence:
    """Draw with `reference`, component by component, until all `components` have inputs.

    Image-to-image drawings start from the first picture drawn from text. A component is released before the next one
    loads, so some components load twice.

    Args:
        reference: the side that draws.
        drawings: the drawings to complete.
        components: the names of the bundle's components.
        report: receives the component, the number of its completed drawings and their total.
    """
    family, evidence, component_names = reference.facts.family, Evidence(list(drawings)), frozenset(components)
    from_text = [drawing for drawing in drawings if drawing.case.sampling.strength is None]
    from_image = [drawing for drawing in drawings if drawing.case.sampling.strength is not None]

    def advance(component: str, group: Sequence[Drawing]) -> None:
        for done, drawing in enumerate(group):
            report(component, done, len(group))
            reference.record = evidence.recorder(drawing.case)
            drawing.advance(reference, component)
        reference.release(component)
        report(component, len(group), len(group))

    encoders = frozenset(encoder.name for encoder in family.text_encoders)
    needed = family.text_to_image if from_image else up_to_last(family.text_to_image, component_names)
    for component in needed:
        advance(component, drawings if component in encoders else from_text)
    if from_image:
        picture = picture_of(from_text[0])
        for drawing in from_image:
            drawing.picture = picture
        encoder_alone = (str(family.wiring.encoder),)
        whole = component_names.issuperset(family.image_to_image)
        for component in family.image_to_image if whole else encoder_alone:
            if component not in encoders:
                advance(component, from_image)
    return evidence


def up_to_last(components: tuple[str, ...], component_names: frozenset[str]) -> tuple[str, ...]:
    """The `components` up to the last one of `component_names`."""
    return components[: max(i for i, name in enumerate(components) if name in component_names) + 1]


def picture_of(drawing: Drawing) -> Float32Array:
    """The decoded sample [batch, 3, H, W] of `drawing` after conversion to pictures of eight bits and back."""
    pictures = images.to_images(drawing.finished)
    return np.concatenate([images.to_sample(picture, *picture.size) for picture in pictures])
