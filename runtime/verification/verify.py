"""Verification of a bundle against PyTorch: every component on the reference's real inputs, and whole pictures.

The reference runs first and records the evidence: diffusers' own pipelines, where diffusers has the class. PyTorch in
float16 is measured on it next, for the error of the type alone, and the bundle last. Only one side is in memory at a
time. Of the pipelines it is the text encoders, and then the denoiser with the VAE; of the others one component.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from turbo_webnn.models.arguments import Whole, require_texts, require_types, require_unicode
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.component import Size
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.precision import BOUNDARY_TYPE, Precision
from turbo_webnn.models.progress import ReportRuns
from turbo_webnn.models.provenance import Provenance
from turbo_webnn.models.source import Source
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.draw.posterior import choose_posterior
from turbo_webnn.runtime.draw.stages import Stages
from turbo_webnn.runtime.draw.text import PromptTokenizer
from turbo_webnn.runtime.ort.environment import environment
from turbo_webnn.runtime.ort.sessions import Array, Provider, Settings, choose_provider
from turbo_webnn.runtime.page.quality import read_quality
from turbo_webnn.runtime.verification.bundle_reference import BundleReference
from turbo_webnn.runtime.verification.cases import PROMPTS, cases_of
from turbo_webnn.runtime.verification.drawing import Case, Drawing
from turbo_webnn.runtime.verification.evidence import Evidence, ReferenceSide
from turbo_webnn.runtime.verification.measure import Measurement, Run, measure
from turbo_webnn.runtime.verification.noise_floor import NoiseFloor, noise_floor
from turbo_webnn.runtime.verification.parity import COMPONENT_GATES, EXACT, PICTURE_GATES, compare
from turbo_webnn.runtime.verification.publish import publish
from turbo_webnn.runtime.verification.references import modules_reference, source_reference
from turbo_webnn.runtime.verification.report import ParityReport, Row
from turbo_webnn.runtime.verification.traced import Traced

if TYPE_CHECKING:
    from turbo_webnn.runtime.verification.trace import Traceable

_LOG = logging.getLogger(__name__)

PICTURES = "pipeline"
"""The name of the rows of whole pictures, in the column of components."""


def verify(
    bundle: Bundle,
    reference: Source | Bundle,
    *,
    prompts: Sequence[str] = PROMPTS[:1],
    seeds: Sequence[int] = (0,),
    steps: Sequence[int] = (1, 2, 4),
    trace: bool = False,
    provider: Provider | Settings | None = None,
    progress: ReportRuns | None = None,
    notice: Callable[[str], object] = _LOG.warning,
) -> ParityReport:
    """Compare `bundle` with diffusers' pipeline of `reference`, and write the report into the bundle.

    Components are compared on their inputs in the longest of `steps`: token ids, encoded prompts, latents at each
    sigma, finished latents. The VAE's encoder is compared on the reference's first picture. Whole pictures are
    compared for every prompt, seed and number of steps, from the same noise, and once image to image. For a float16
    bundle PyTorch also runs in float16, for the error of the type alone. Missing components are left out.

    Args:
        bundle: the bundle to verify.
        reference: a checkpoint, or a bundle of the same size. The float16 bundle of the same checkpoint shows only
            the error of quantised weights.
        prompts: texts to draw.
        seeds: of the noise, for each prompt.
        steps: numbers of denoising steps, for each prompt and seed.
        trace: whether to compare the values inside components too, on the first run of each; needs PyTorch.
        provider: where to run the graphs, without fused attention; or all settings.
        progress: receives the component, the number of its completed drawings and their total. Components of the
            reference are named `PyTorch unet`, `float16 unet`, or, where it is a bundle, `reference unet`.
        notice: receives a line of text where the report could not be written.

    Raises:
        RequestError: where a file differs from the manifest, PyTorch is not installed, the source cannot be read, the
            bundle has none of the components or no such schedule, or onnxruntime fails.
    """
    _require_arguments(bundle, reference, prompts, seeds, steps)
    report_runs = progress or (lambda *_: None)
    settings = provider if isinstance(provider, Settings) else Settings(choose_provider(provider), fuse=False)
    manifest, stages = bundle.manifest, Stages(bundle, settings)
    cases = cases_of(bundle, prompts, seeds, steps)
    if isinstance(reference, Bundle) and any(case.sampling.posterior for case in cases):
        choose_posterior(reference, asked=True)  # raises where it cannot draw such a case
    if isinstance(reference, Bundle):
        require_same_family(bundle, reference)
    bundle.require_intact()
    quality = read_quality(bundle.folder)
    clock = _Clock()
    side: ReferenceSide = (
        BundleReference(reference, manifest.size, settings)
        if isinstance(reference, Bundle)
        else source_reference(reference, manifest.size)
    )
    label = "PyTorch" if isinstance(reference, Source) else "reference"
    rows, drawings = _tokenized(bundle, side, cases)
    evidence = side.gather(drawings, manifest.components, lambda name, *done: report_runs(f"{label} {name}", *done))
    clock.lap(label.lower())
    components = [component for component in bundle.family.image_to_image if component in manifest.components]
    draw = manifest.components.keys() >= set(bundle.family.text_to_image)
    floor = None
    if isinstance(reference, Source) and BOUNDARY_TYPE[manifest.precision] == "float16":
        floor = _measure_float16(reference, manifest.size, evidence, components, draw=draw, report=report_runs)
        clock.lap("pytorch float16")
    run = _component_runner(stages)
    measurement = measure(stages, run, evidence, components, draw=draw, report=report_runs)
    clock.lap("onnxruntime")
    traced: list[Traced] = []
    if trace and isinstance(reference, Source):
        modules = modules_reference(reference, manifest.size, "fp32")
        traced = _traced(stages, run, evidence, modules, report_runs)
        clock.lap("trace")
    report = ParityReport(
        rows=(*rows, *_rows(measurement, floor, manifest.precision)),
        noise=tuple(_noise(measurement, floor, manifest.precision)),
        traced=tuple(traced),
        precision=manifest.precision,
        source=manifest.source,
        reference=_provenance(reference),
        compared_with=side.description,
        provider=stages.provider,
        environment=environment(),
        seconds=clock.laps,
    )
    try:
        publish(bundle, report, evidence.samples, measurement, quality)
    except RequestError as error:
        notice(f"the report is not kept: {error}")
    return report


def require_same_family(bundle: Bundle, reference: Source | Bundle) -> None:
    """Refuse a `reference` of another family than `bundle`; RequestError names both."""
    if reference.family != bundle.family:
        wrong = f"{bundle.folder} is of the family {bundle.family.name}, the reference of {reference.family.name}"
        raise RequestError(wrong, "give the checkpoint that the bundle was made from")


def _require_arguments(
    bundle: Bundle, reference: Source | Bundle, prompts: Sequence[str], seeds: Sequence[int], steps: Sequence[int]
) -> None:
    """Refuse arguments of wrong types, and prompts that are not valid Unicode."""
    require_types(bundle=(bundle, Bundle), reference=(reference, Source | Bundle))
    require_texts(prompts=prompts)
    require_unicode(**{f"prompt {number}": prompt for number, prompt in enumerate(prompts, 1)})
    for number in (*seeds, *steps):
        require_types(seeds_or_steps=(number, Whole))


class _Clock:
    """Wall-clock seconds by activity."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._began = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name], self._began = now - self._began, now


def _measure_float16(
    source: Source, size: Size, evidence: Evidence, components: Sequence[str], *, draw: bool, report: ReportRuns
) -> Measurement:
    """Measure PyTorch in float16 on the evidence."""
    side = modules_reference(source, size, "fp16")
    return measure(
        side, side.run, evidence, components, draw=draw, report=lambda name, *done: report(f"float16 {name}", *done)
    )


def _component_runner(stages: Stages) -> Run:
    """Make a function that runs a component of the bundle on the inputs of the reference."""

    def run(component: str, inputs: Mapping[str, Array]) -> Mapping[str, Float32Array]:
        # a graph may contain an input of the reference as a constant, such as SDXL's time_ids
        chain = stages.bundle.chain(component)
        return stages.run(component, {tensor.name: inputs[tensor.name] for tensor in chain.inputs})

    return run


def _provenance(reference: Source | Bundle) -> Provenance:
    if isinstance(reference, Source):
        return reference.provenance
    manifest = reference.manifest
    return {**manifest.source, "name": f"{manifest.source['name']} in {manifest.precision}"}


def _tokenized(bundle: Bundle, reference: ReferenceSide, cases: Sequence[Case]) -> tuple[list[Row], list[Drawing]]:
    """Compare the bundle's token ids with transformers', and make drawings from the latter."""
    prompts = list(dict.fromkeys(case.prompt for case in cases))
    too_long = " ".join(prompts * 77)
    ids = {prompt: reference.token_ids(prompt) for prompt in (*prompts, "", too_long)}  # by text encoder
    rows = []
    encoders = [encoder for encoder in bundle.family.text_encoders if encoder.tokenizer in bundle.manifest.tokenizers]
    for encoder in encoders:
        tokenizer = PromptTokenizer(bundle, str(encoder.tokenizer))
        for prompt in (*prompts, "", too_long):
            case = repr(prompt) if len(prompt) < 77 else f"{prompt[:77]!r}…, to be cut"
            figures = compare(ids[prompt][encoder.name], tokenizer.encode(prompt).ids)
            rows.append(Row(str(encoder.tokenizer), case, figures, EXACT))
    batch = bundle.manifest.size.batch
    repeated = {
        prompt: {encoder: np.repeat(row, batch, axis=0) for encoder, row in ids[prompt].items()} for prompt in prompts
    }
    return rows, [Drawing(case, repeated[case.prompt]) for case in cases]


def _rows(measurement: Measurement, floor: Measurement | None, precision: Precision) -> list[Row]:
    floor = floor or Measurement()
    gate, picture_gate = COMPONENT_GATES[precision], PICTURE_GATES[precision]
    rows = [
        Row(
            component,
            comparison.case,
            figures,
            gate,
            floor.components.get(component, {}).get(comparison),
            comparison.timestep,
        )
        for component, compared in measurement.components.items()
        for comparison, figures in compared.items()
    ]
    pictures = measurement.pictures.items()
    return rows + [
        Row(PICTURES, str(case), figures, picture_gate, floor.pictures.get(case)) for case, figures in pictures
    ]


def _noise(measurement: Measurement, floor: Measurement | None, precision: Precision) -> list[NoiseFloor]:
    if floor is None:
        return []
    floors = [
        noise_floor(name, compared.values(), floor.components[name].values(), precision)
        for name, compared in measurement.components.items()
        if compared
    ]
    if measurement.pictures:
        floors.append(noise_floor(PICTURES, measurement.pictures.values(), floor.pictures.values(), precision))
    return floors


def _traced(stages: Stages, run: Run, evidence: Evidence, reference: Traceable, report: ReportRuns) -> list[Traced]:
    """Compare the values inside each component on its first run; sort them by growth of the error."""
    from turbo_webnn.runtime.verification.trace import trace  # needs onnx, which only --trace uses

    traced: list[Traced] = []
    for done, (component, records) in enumerate(evidence.records.items()):
        report("trace", done, len(evidence.records))
        traced += trace(stages, run, component, records[0].inputs, reference)
    report("trace", len(evidence.records), len(evidence.records))
    return sorted(traced, key=lambda value: -value.growth)
