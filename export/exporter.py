"""The request for a bundle: everything that can be refused is refused here, before torch is loaded."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from export.quantize.plan import Quantization
from export.quantize.recipe import read_recipe
from export.worker import BundleJob, Report, run_worker
from models.arguments import Whole, require_texts, require_types
from models.bundle import Bundle, require_bundle_place, staged
from models.component import VAE_FACTOR, Size
from models.errors import RequestError
from models.family import SAFETY_CHECKER
from models.layouts import DEFAULT, layout_of
from models.precision import BOUNDARY_TYPE, FORMS, NUMBERS, PRECISIONS, Form, Precision
from models.source import Source, open_part, open_source
from models.staging import require_apart

_QUANTIZED_BITS = 9
"""Room for a quantised weight: of 8 bits with its scales, the most that a rule gives."""


def export_bundle(
    source: str | Source,
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
    parts: Mapping[str, str] = MappingProxyType({}),
    overwrite: bool = False,
    report: Report = lambda _component, _doing, _fraction: None,
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
        parts: by subfolder ("vae", "safety_checker") other sources whose components take the place of `source`'s own;
            a safety checker that is given is exported too.
        overwrite: whether a bundle at `output` may be replaced.

    Raises:
        RequestError: where the request cannot be served; `output` is then as it was.

    Example:
        >>> export_bundle("stabilityai/sd-turbo", "sd-turbo-webnn").manifest.components["unet"].nodes
    """
    require_types(source=(source, str | Source), output=(output, str | Path), size=(size, Size | None))
    require_types(max_graph_bytes=(max_graph_bytes, Whole | None), size_budget=(size_budget, Whole | None))
    require_types(precision=(precision, str), layout=(layout, str), recipe=(recipe, Path | None))
    require_texts(components=components, parts=[*parts, *parts.values()])
    if precision not in PRECISIONS:
        raise RequestError(f"there is no precision {precision!r}", f"there is {', '.join(PRECISIONS)}")
    require_bundle_place(Path(output), overwrite=overwrite)
    asked = _quantization(precision, quantization, size_budget, recipe)
    measured = BOUNDARY_TYPE[precision] == "float16"
    if isinstance(source, str):
        source = open_source(source, components=components, fed=measured, parts=parts)
    elif parts:
        source = replace(source, parts={name: open_part(part, name) for name, part in parts.items()})
    require_apart(Path(output), source.folders)
    family = source.family
    if SAFETY_CHECKER.subfolder in source.parts:
        components = [*(components or [component.name for component in family.components]), SAFETY_CHECKER.name]
    laid_out = layout_of(layout, family.name, precision, asked.form if asked else None)
    laid_out.require_freedom(chains=max_graph_bytes is not None, baked=bake_time_ids)
    names = laid_out.chosen(components, [component.name for component in family.components])
    chosen = [family.component(name) for name in names if name in laid_out.places]
    read = family.chosen([component.name for component in chosen], fed=measured)
    family.require_agreement({component.name: source.config(component) for component in read})
    counts = {component.name: source.checkpoint(component).count() for component in read}
    numbers = sum(counts[component.name] for component in chosen)
    size = size or native_size(source)
    with staged(Path(output), overwrite=overwrite) as stage:
        _require_space(stage, numbers, precision)
        job = BundleJob(source, names, size, precision, stage, max_graph_bytes, bake_time_ids, layout, asked)
        run_worker(job, report)
    return Bundle.open_unread(output)  # its digests were made of the files just now


def native_size(source: Source, *, batch: int = 1, height: int | None = None, width: int | None = None) -> Size:
    """The size asked for, each side that is not named being what the UNet was made for: its `sample_size`."""
    native = VAE_FACTOR * int(source.config(source.family.component("unet")).get("sample_size", 64))
    return Size(batch, native if height is None else height, native if width is None else width)


def _quantization(
    precision: Precision, form: Form, size_budget: int | None, recipe: Path | None
) -> Quantization | None:
    """What is asked of the weights, or None where they are not to be quantised."""
    if form not in FORMS:
        raise RequestError(f"there is no quantization {form!r}", f"there is {', '.join(FORMS)}")
    if not NUMBERS[precision].quantized:
        if size_budget is not None or recipe is not None:
            raise RequestError(f"{precision} has one size, whatever is asked", "give --precision q8f16 or q4f16")
        return None
    if size_budget is not None and recipe is not None:
        raise RequestError("a recipe states the bits already, so no budget can", "give one of the two")
    held = None if recipe is None else read_recipe(recipe)
    return Quantization(NUMBERS[precision].weight_bits, form, size_budget, held)


def _require_space(stage: Path, numbers: int, precision: Precision) -> None:
    bits = NUMBERS[precision].weight_bits
    needed = numbers * (_QUANTIZED_BITS if NUMBERS[precision].quantized else bits) // 8
    free = shutil.disk_usage(stage).free
    if free < needed:
        raise RequestError(
            f"the bundle takes up to {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free there",
            "free some space or give another place",
        )
