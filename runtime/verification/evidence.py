"""What the reference leaves behind: what passed through its components, and its finished drawings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from turbo_webnn.models.family import VAE_ENCODER, Family
from turbo_webnn.models.progress import ReportRuns
from turbo_webnn.runtime.draw import images
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.ort.sessions import Array
from turbo_webnn.runtime.verification.drawing import Case, Drawing, Side

Recorder = Callable[[str, Mapping[str, Array], Mapping[str, Float32Array]], None]
"""Told of every run of a component: its name, its inputs and its outputs by name."""


class Recorded(Side, Protocol):
    """A side that tells what passes through its components."""

    record: Recorder | None


@dataclass(frozen=True)
class Record:
    """One run of a component; only the UNet's has a timestep."""

    case: str
    timestep: float | None
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Float32Array]


@dataclass
class Evidence:
    """Runs by component, and drawings that went as far as the bundle's components need."""

    drawings: list[Drawing]
    records: dict[str, list[Record]] = field(default_factory=dict)

    @property
    def samples(self) -> dict[Case, Float32Array]:
        """The decoded pictures [batch, 3, H, W], by their cases."""
        return {drawing.case: drawing.sample for drawing in self.drawings if drawing.sample is not None}

    def recorder(self, case: Case) -> Recorder:
        """Keeps the runs of those components that `case` measures."""

        def record(component: str, inputs: Mapping[str, Array], outputs: Mapping[str, Float32Array]) -> None:
            if component in case.measured:
                timestep = float(inputs["timestep"][0]) if "timestep" in inputs else None
                name = str(case) if timestep is None else f"timestep {timestep:g}, {case}"
                self.records.setdefault(component, []).append(Record(name, timestep, inputs, outputs))

        return record


def gather(
    reference: Recorded, drawings: Sequence[Drawing], family: Family, components: Iterable[str], report: ReportRuns
) -> Evidence:
    """Draw with `reference`, a component at a time, as far as `components` need inputs.

    What starts from an image starts from the first picture drawn from text. A component is released before
    the next one loads, so some load twice.
    """
    evidence, held = Evidence(list(drawings)), frozenset(components)
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
    needed = family.text_to_image if from_image else _up_to_last(family.text_to_image, held)
    for component in needed:
        advance(component, drawings if component in encoders else from_text)
    if from_image:
        picture = _as_seen(from_text[0].finished)
        for drawing in from_image:
            drawing.picture = picture
        through = family.image_to_image if held.issuperset(family.image_to_image) else (VAE_ENCODER.name,)
        for component in through:
            if component not in encoders:
                advance(component, from_image)
    return evidence


def _up_to_last(components: tuple[str, ...], held: frozenset[str]) -> tuple[str, ...]:
    return components[: max(i for i, name in enumerate(components) if name in held) + 1]


def _as_seen(sample: Float32Array) -> Float32Array:
    """A decoded sample [batch, 3, H, W] as it comes back from a picture of eight bits."""
    pictures = images.to_images(sample)
    return np.concatenate([images.to_sample(picture, *picture.size) for picture in pictures])
