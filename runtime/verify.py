"""A bundle against PyTorch, or against another bundle: every component on the reference's real inputs, and whole
pictures end to end.

One side is held at a time, and of each side one component. The reference runs first and leaves its evidence.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from models.bundle import Bundle
from models.component import Size
from models.errors import RequestError
from models.source import Source
from runtime import sampler
from runtime.bundle_reference import BundleReference
from runtime.drawing import Case, Drawing
from runtime.environment import environment
from runtime.evidence import Evidence, Progress, gather
from runtime.parity import COMPONENT_GATES, EXACT, PICTURE_GATES, TOLD, compare
from runtime.report import ParityReport, Row
from runtime.sessions import Provider
from runtime.stages import Sampling, Stages
from runtime.text import PromptTokenizer

if TYPE_CHECKING:
    from runtime.reference import Reference

PROMPTS = ("a photograph of a lighthouse on a cliff at dusk",)

IMAGE_STEPS, IMAGE_STRENGTH = 2, 0.5
"""Image to image is compared on the shortest run that keeps something of the picture."""


def verify(
    bundle: Bundle,
    reference: Source | Bundle,
    *,
    prompts: Sequence[str] = PROMPTS,
    seeds: Sequence[int] = (0,),
    steps: Sequence[int] = (1, 4),
    provider: Provider | None = None,
    progress: Progress | None = None,
) -> ParityReport:
    """Compare `bundle` with the PyTorch pipeline of `reference`, and write the report into the bundle.

    Components are compared on what the longest of `steps` feeds them: token ids, encoded prompts, latents at
    each sigma, finished latents; the encoder on the reference's first picture. End to end every prompt, seed
    and number of steps is drawn from the same noise, and once from that picture. What the bundle lacks is
    left out.

    Args:
        reference: a checkpoint, or a bundle of the same size: the float16 one of the same checkpoint shows what
            quantised weights lose, and nothing else.
        progress: told the component at work, how many drawings are through it, and how many there are; those
            of the reference as `PyTorch unet` or `reference unet`.

    Raises:
        RequestError: where PyTorch is not installed, the source cannot be read, the bundle has none of the
            components or no such schedule, onnxruntime fails, or the report cannot be written.
    """
    told = progress or (lambda *_: None)
    stages = Stages(bundle, provider)
    cases = _cases(bundle, prompts, seeds, steps)
    began = time.perf_counter()
    side = _reference(reference, bundle.manifest.size, stages.provider)
    rows, drawings = _tokenized(bundle, side, cases)
    label = "PyTorch" if isinstance(reference, Source) else "reference"
    evidence = gather(
        side,
        drawings,
        bundle.family,
        bundle.manifest.components,
        lambda name, *done: told(f"{label} {name}", *done),
    )
    turned = time.perf_counter()
    rows += _measured(stages, evidence, told)
    report = ParityReport(
        rows=tuple(rows),
        precision=bundle.manifest.precision,
        source=bundle.manifest.source,
        reference=_provenance(reference),
        provider=stages.provider,
        environment=environment(),
        seconds={label.lower(): turned - began, "onnxruntime": time.perf_counter() - turned},
    )
    report.write(bundle.folder)
    return report


def _cases(bundle: Bundle, prompts: Sequence[str], seeds: Sequence[int], steps: Sequence[int]) -> list[Case]:
    """What is drawn: everything where the bundle can draw, else what its components are measured on."""
    held, family = frozenset(bundle.manifest.components), bundle.family
    if held.isdisjoint(family.image_to_image):
        known = ", ".join(family.image_to_image)
        raise RequestError(f"{bundle.folder} has no component to verify", f"known are {known}")
    drawn = steps if held.issuperset(family.text_to_image) else [max(steps)]
    cases = [
        Case(prompt, Sampling(count, seed), held.intersection(family.text_to_image if count == max(steps) else ()))
        for prompt in prompts
        for seed in seeds
        for count in drawn
    ]
    if "vae_encoder" in held:
        sampling = Sampling(IMAGE_STEPS, seeds[0], IMAGE_STRENGTH)
        cases.append(Case(prompts[0], sampling, frozenset({"vae_encoder"})))
    for case in cases:
        sampler.plan(bundle.manifest.schedules, case.sampling.steps)  # refused before anything is loaded
    return cases


def _tokenized(
    bundle: Bundle, reference: Reference | BundleReference, cases: Sequence[Case]
) -> tuple[list[Row], list[Drawing]]:
    """The bundle's token ids against transformers', and drawings that start from the latter."""
    prompts = dict.fromkeys(case.prompt for case in cases)
    ids = {prompt: reference.token_ids(prompt) for prompt in prompts}  # by text encoder
    rows = []
    held = [encoder for encoder in bundle.family.text_encoders if encoder.tokenizer in bundle.manifest.tokenizers]
    for encoder in held:
        tokenizer = PromptTokenizer(bundle, str(encoder.tokenizer))
        too_long = " ".join([*prompts] * 77)
        for prompt in (*prompts, "", too_long):
            case = repr(prompt) if len(prompt) < 77 else f"{prompt[:77]!r}…, to be cut"
            figures = compare(reference.token_ids(prompt)[encoder.name], tokenizer.encode(prompt).ids)
            rows.append(Row(str(encoder.tokenizer), case, figures, EXACT))
    batch = bundle.manifest.size.batch
    repeated = {
        prompt: {encoder: np.repeat(row, batch, axis=0) for encoder, row in rows_of.items()}
        for prompt, rows_of in ids.items()
    }
    return rows, [Drawing(case, repeated[case.prompt]) for case in cases]


def _measured(stages: Stages, evidence: Evidence, told: Progress) -> list[Row]:
    """Every component on the evidence, and the drawings along with them, so that each loads once."""
    manifest = stages.bundle.manifest
    family = stages.bundle.family
    held = [component for component in family.image_to_image if component in manifest.components]
    expected = evidence.samples if manifest.components.keys() >= set(family.text_to_image) else {}
    latents = {drawing.case: drawing.latents for drawing in evidence.drawings if drawing.latents is not None}
    drawings = [
        Drawing(drawing.case, drawing.ids, drawing.picture) for drawing in evidence.drawings if drawing.case in expected
    ]
    rows = []
    for component in held:
        records = evidence.records.get(component, [])
        runs = len(records) + len(drawings)
        for done, record in enumerate(records):
            told(component, done, runs)
            taken = {tensor.name: record.inputs[tensor.name] for tensor in manifest.components[component].inputs}
            outputs = stages.run(component, taken)
            for name, expected_output in record.outputs.items():
                case = record.case if len(outputs) == 1 else f"{name}, {record.case}"
                figures = compare(expected_output, outputs[name])
                rows.append(Row(component, case, figures, COMPONENT_GATES[manifest.precision]))
        for done, drawing in enumerate(drawings, len(records)):
            told(component, done, runs)
            drawing.advance(stages, component)
        stages.release(component)
        told(component, runs, runs)
    for drawing in drawings:
        if drawing.latents is not None:
            figures = compare(latents[drawing.case], drawing.latents)
            rows.append(Row("latents", str(drawing.case), figures, TOLD))
        figures = compare(expected[drawing.case], drawing.finished)
        rows.append(Row("pipeline", str(drawing.case), figures, PICTURE_GATES[manifest.precision]))
    return rows


def _provenance(reference: Source | Bundle) -> dict[str, str | None]:
    if isinstance(reference, Source):
        return reference.provenance
    manifest = reference.manifest
    return {**manifest.source, "name": f"{manifest.source['name']} in {manifest.precision}"}


def _reference(reference: Source | Bundle, size: Size, provider: Provider) -> Reference | BundleReference:
    """The reference; PyTorch's module, which needs PyTorch, is imported nowhere else."""
    if isinstance(reference, Bundle):
        return BundleReference(reference, size, provider)
    try:
        from runtime.reference import Reference
    except ImportError as error:
        raise RequestError(
            f"verify compares with PyTorch, and {error.name} is not installed",
            "pip install 'turbo-webnn[export]'",
        ) from error
    return Reference(reference, size)
