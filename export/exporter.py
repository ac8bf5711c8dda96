"""The export of a bundle.

Requests are refused before torch is loaded, as far as options and configs tell. The bundle appears complete or not at
all.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

from turbo_webnn.export.job import BundleJob
from turbo_webnn.export.request import ExportPlan, ExportRequest
from turbo_webnn.export.worker import run_worker
from turbo_webnn.models.arguments import require_texts, require_types
from turbo_webnn.models.bundle import Bundle, staged
from turbo_webnn.models.component import Size
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.layouts.registry import DEFAULT
from turbo_webnn.models.precision import NUMBERS, Form, Precision
from turbo_webnn.models.progress import ReportFraction
from turbo_webnn.models.source import Source, open_source, replace_parts

_QUANTIZED_BITS = 9
"""Disk space for a number of a quantised weight: at most 8 bits, which is the most that a rule gives, and its share of
the scales."""


def export_bundle(
    source: str | Path | Source,
    output: str | Path,
    *,
    precision: Precision = "fp16",
    size: Size | None = None,
    components: Sequence[str] = (),
    max_graph_bytes: int | None = None,
    layout: str = DEFAULT,
    bake_time_ids: bool = False,
    quantization: Form = "qdq",
    size_budget: int | None = None,
    recipe: Path | None = None,
    skip_passes: Sequence[str] = (),
    sample_posterior: bool = False,
    parts: Mapping[str, str] = MappingProxyType({}),
    overwrite: bool = False,
    report: ReportFraction = lambda _component, _doing, _fraction: None,
) -> Bundle:
    """Export the pipeline at `source` to a new bundle at `output`.

    Args:
        source: a hub id, a diffusers folder, a `.safetensors` file, the name of an embedded checkpoint, or an opened
            source.
        output: the bundle's folder. It appears complete or not at all.
        precision: the precision of weights, arithmetic and boundary.
        size: the one size that the bundle serves. The default is the UNet's own size and one picture.
        components: the names of the components to export. The default is all components of the layout.
        max_graph_bytes: the most bytes of weights in one graph. A component with more becomes a chain of graphs.
        layout: the name of the bundle's layout.
        bake_time_ids: whether SDXL's UNet contains the numbers of its size instead of reading them as an input.
        quantization: how products by a quantised weight are written.
        size_budget: the most bytes of all graphs together. The bits of each weight are chosen for it.
        recipe: a file that states the bits of each weight, written by another export.
        skip_passes: names of passes to leave out (`export.pass_names`), to see what each pass does to a graph.
        sample_posterior: whether the VAE encoder also gives the variance of the latents, so that image to image samples
            them as diffusers does. The default gives the mean alone.
        parts: other sources by subfolder ("unet", "vae", "safety_checker"). Their components replace those of
            `source`. A safety checker in `parts` is exported too.
        overwrite: whether a bundle at `output` may be replaced.
        report: receives the progress of each component.

    Returns:
        The new bundle.

    Raises:
        RequestError: if the request cannot be served; `output` is then unchanged.

    Example:
        >>> export_bundle("stabilityai/sd-turbo", "sd-turbo-webnn").manifest.components["unet"].nodes
    """
    require_types(source=(source, str | Path | Source), output=(output, str | Path), size=(size, Size | None))
    require_types(sample_posterior=(sample_posterior, bool))
    require_texts(components=components, skip_passes=skip_passes, parts=[*parts, *parts.values()])
    request = ExportRequest(
        output=Path(output),
        precision=precision,
        components=tuple(components),
        max_graph_bytes=max_graph_bytes,
        layout=layout,
        bake_time_ids=bake_time_ids,
        quantization=quantization,
        size_budget=size_budget,
        recipe=recipe,
        skip_passes=tuple(skip_passes),
        sample_posterior=sample_posterior,
        overwrite=overwrite,
        **({} if size is None else asdict(size)),
    )
    request.require_files()
    if not isinstance(source, Source):
        source = open_source(
            str(source),
            components=components,
            fed=request.measured,
            parts=parts,
            judge=request.plan,
            judge_headers=lambda remote: judge_weights(request.plan(remote)),
        )
    elif parts:
        source = replace_parts(source, parts)
    return run_plan(request.plan(source), report)


def run_plan(plan: ExportPlan, report: ReportFraction) -> Bundle:
    """Export a bundle according to `plan`.

    Raises:
        RequestError: if the checkpoint cannot serve the plan; the output is then unchanged.
    """
    request = plan.request
    counts = {component.name: plan.source.checkpoint(component).count() for component in plan.read}
    weight_count = sum(counts[component.name] for component in plan.exported)
    with staged(request.output, overwrite=request.overwrite) as stage:
        _require_disk_space(stage, weight_count, request.precision)
        run_worker(BundleJob(plan, stage), report)
    return Bundle.open_unread(request.output)  # the digests were just computed from the files


def judge_weights(plan: ExportPlan) -> None:
    """Check in a separate process that all weights fit the configs. Only their headers are read.

    Raises:
        RequestError: names the tensor that is missing, that no parameter reads, or that has another shape or type.
    """
    run_worker(BundleJob(plan, None), lambda _component, _doing, _fraction: None)


def _require_disk_space(stage: Path, weight_count: int, precision: Precision) -> None:
    bits = NUMBERS[precision].weight_bits
    needed = weight_count * (_QUANTIZED_BITS if NUMBERS[precision].quantized else bits) // 8
    free = shutil.disk_usage(stage).free
    if free < needed:
        raise RequestError(
            f"the bundle takes up to {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free there",
            "free some space or give another place",
        )
