"""An export: what can be refused is refused before torch is loaded, and the bundle appears whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
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
from turbo_webnn.models.source import Source, open_part, open_source

_QUANTIZED_BITS = 9
"""Room for a quantised weight: of 8 bits with its scales, the most that a rule gives."""


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
    parts: Mapping[str, str] = MappingProxyType({}),
    overwrite: bool = False,
    report: ReportFraction = lambda _component, _doing, _fraction: None,
) -> Bundle:
    """Export the pipeline at `source` to a new bundle at `output`.

    Args:
        source: a hub id, a diffusers folder, an embedded checkpoint's name, or an opened source.
        output: the bundle's folder; it appears whole, or not at all.
        precision: of weights, arithmetic and boundary.
        size: the one size that the bundle serves; the UNet's own and one picture where it is not given.
        components: those to export; all of the layout where none is named.
        max_graph_bytes: of weights in one graph; a component with more becomes a chain of graphs.
        layout: the name of the one that the bundle is laid out in.
        bake_time_ids: whether SDXL's UNet holds the numbers of its size instead of reading them as an input.
        quantization: how products by a quantised weight are written.
        size_budget: bytes that all graphs may take together; the bits of each weight are chosen for it.
        recipe: a file that states the bits of each weight, as another export wrote it.
        skip_passes: names of passes to leave out (`export.pass_names`), to see what each one does to a graph.
        parts: by subfolder ("vae", "safety_checker") other sources whose components take the place of `source`'s own;
            a safety checker that is given is exported too.
        overwrite: whether a bundle at `output` may be replaced.
        report: receives the progress of each component.

    Raises:
        RequestError: where the request cannot be served; `output` is then as it was.

    Example:
        >>> export_bundle("stabilityai/sd-turbo", "sd-turbo-webnn").manifest.components["unet"].nodes
    """
    require_types(source=(source, str | Path | Source), output=(output, str | Path), size=(size, Size | None))
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
        overwrite=overwrite,
        **({} if size is None else asdict(size)),
    )
    request.require_files()
    if not isinstance(source, Source):
        source = open_source(str(source), components=components, fed=request.measured, parts=parts, judge=request.plan)
    elif parts:
        source = replace(source, parts={name: open_part(part, name) for name, part in parts.items()})
    return run_plan(request.plan(source), report)


def run_plan(plan: ExportPlan, report: ReportFraction) -> Bundle:
    """Export what `plan` says.

    Raises:
        RequestError: where the checkpoint cannot serve it; the output is then as it was.
    """
    request = plan.request
    counts = {component.name: plan.source.checkpoint(component).count() for component in plan.read}
    numbers = sum(counts[component.name] for component in plan.exported)
    with staged(request.output, overwrite=request.overwrite) as stage:
        _require_space(stage, numbers, request.precision)
        run_worker(BundleJob(plan, stage), report)
    return Bundle.open_unread(request.output)  # its digests were made of the files just now


def _require_space(stage: Path, numbers: int, precision: Precision) -> None:
    bits = NUMBERS[precision].weight_bits
    needed = numbers * (_QUANTIZED_BITS if NUMBERS[precision].quantized else bits) // 8
    free = shutil.disk_usage(stage).free
    if free < needed:
        raise RequestError(
            f"the bundle takes up to {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free there",
            "free some space or give another place",
        )
