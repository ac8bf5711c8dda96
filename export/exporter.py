"""The request for a bundle: everything that can be refused is refused here, before torch is loaded."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from export.worker import BundleJob, Report, run_worker
from models.bundle import Bundle, staged
from models.component import VAE_FACTOR, Size
from models.errors import RequestError
from models.family import SAFETY_CHECKER
from models.precision import BOUNDARY_TYPE, PRECISIONS, Precision
from models.source import Source, open_part, open_source


def export_bundle(
    source: str | Source,
    output: str | Path,
    *,
    precision: Precision = "fp16",
    size: Size | None = None,
    components: Sequence[str] = (),
    max_graph_bytes: int | None = None,
    bake_time_ids: bool = False,
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
        components: those to export; all of the family where none is named.
        max_graph_bytes: of weights in one graph; a component with more becomes a chain of graphs.
        bake_time_ids: whether SDXL's UNet holds the numbers of its size instead of reading them as an input.
        parts: by subfolder ("vae", "safety_checker") other sources whose components take the place of `source`'s own;
            a safety checker that is given is exported too.
        overwrite: whether a bundle at `output` may be replaced.

    Raises:
        RequestError: where the request cannot be served; `output` is then as it was.

    Example:
        >>> export_bundle("stabilityai/sd-turbo", "sd-turbo-webnn").manifest.components["unet"].nodes
    """
    if precision not in PRECISIONS:
        raise RequestError(f"there is no precision {precision!r}", f"there is {', '.join(PRECISIONS)}")
    measured = BOUNDARY_TYPE[precision] == "float16"
    if isinstance(source, str):
        source = open_source(source, components=components, fed=measured, parts=parts)
    elif parts:
        source = replace(source, parts={name: open_part(part, name) for name, part in parts.items()})
    if SAFETY_CHECKER.subfolder in source.parts:
        named = components or [component.name for component in source.family.components]
        components = [*named, SAFETY_CHECKER.name]
    chosen = source.family.chosen(components)
    read = source.family.chosen(components, fed=measured)
    source.family.require_agreement({component.name: source.config(component) for component in read})
    for component in read:
        source.checkpoint(component)
    numbers = sum(source.checkpoint(component).count() for component in chosen)
    size = size or native_size(source)
    with staged(Path(output), overwrite=overwrite) as stage:
        _require_space(stage, numbers, precision)
        names = tuple(component.name for component in chosen)
        run_worker(BundleJob(source, names, size, precision, stage, max_graph_bytes, bake_time_ids), report)
    return Bundle.open(output)


def native_size(source: Source, *, batch: int = 1, height: int | None = None, width: int | None = None) -> Size:
    """The size asked for, each side that is not named being what the UNet was made for: its `sample_size`."""
    native = VAE_FACTOR * int(source.config(source.family.component("unet")).get("sample_size", 64))
    return Size(batch, native if height is None else height, native if width is None else width)


def _require_space(stage: Path, numbers: int, precision: Precision) -> None:
    needed = numbers * {"float32": 4, "float16": 2}[BOUNDARY_TYPE[precision]]
    free = shutil.disk_usage(stage).free
    if free < needed:
        raise RequestError(
            f"the bundle takes up to {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free there",
            "free some space or give another place",
        )
