"""From a checkpoint to a bundle."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from export.side_by_side import run_side_by_side
from models.bundle import Bundle, Manifest, staged, write_manifest
from models.checkpoint import ITEM_BYTES, Checkpoint
from models.component import VAE_FACTOR, Component, Size
from models.errors import RequestError
from models.precision import PRECISIONS, Precision
from models.source import Source, open_source

SIDE_BY_SIDE = 2
"""Components traced at a time: more would cost memory that a small laptop lacks."""

LAYOUT = "webnn"

Report = Callable[[str, str, float], None]
"""Told a component, what is done with it, and which fraction of that is done."""


def export_bundle(
    source: str | Source,
    output: str | Path,
    *,
    precision: Precision = "fp16",
    size: Size | None = None,
    components: Sequence[str] = (),
    overwrite: bool = False,
    report: Report = lambda _component, _doing, _fraction: None,
) -> Bundle:
    """Export the pipeline at `source` to a new bundle at `output`.

    Args:
        source: a hub id, a diffusers folder, an embedded checkpoint's name, or an opened source.
        output: the bundle's folder; it appears whole, or not at all.
        precision: of weights, arithmetic and boundary.
        size: the one size that the bundle serves; 512×512 (the embedded models: their own) and batch 1 by default.
        components: those to export; all of the family where none is named.
        overwrite: whether a bundle at `output` may be replaced.

    Raises:
        RequestError: where the request cannot be served; `output` is then as it was.
    """
    if precision not in PRECISIONS:
        raise RequestError(f"there is no precision {precision!r}", f"there is {', '.join(PRECISIONS)}")
    source = open_source(source, components=components) if isinstance(source, str) else source
    family = source.family
    chosen = tuple(family.component(name) for name in dict.fromkeys(components)) or family.components
    checkpoints = {component.name: source.checkpoint(component) for component in chosen}
    for component in chosen:
        source.config(component)
    size = size or native_size(source)
    # imported here: torch and diffusers take seconds, and a request that cannot be served should not wait
    from export.component_graph import ComponentJob, export_component
    from export.schedules import schedules_of
    from export.tokenizers import write_tokenizer

    scheduler, schedules = schedules_of(source.scheduler_config())
    with staged(Path(output), overwrite=overwrite) as stage:
        _require_space(stage, checkpoints, precision)
        jobs = {
            component.name: ComponentJob(source, component, size, precision, stage)
            for component in _heaviest_first(chosen, checkpoints)
        }
        graphs = run_side_by_side(export_component, jobs, report, limit=SIDE_BY_SIDE)
        tokenizers = {name: write_tokenizer(source.folder, stage, name) for name in _tokenizers(source, chosen)}
        manifest = Manifest(
            family=family.name,
            layout=LAYOUT,
            precision=precision,
            size=size,
            source=source.provenance,
            scaling_factor=_scaling_factor(source),
            scheduler=scheduler,
            schedules=schedules,
            components={component.name: graphs[component.name] for component in chosen},
            tokenizers=tokenizers,
        )
        write_manifest(stage, manifest)
    return Bundle.open(output)


def native_size(source: Source, *, batch: int = 1, height: int | None = None, width: int | None = None) -> Size:
    """The size asked for, each side that is not named being what the UNet was made for: its `sample_size`."""
    native = VAE_FACTOR * int(source.config(source.family.component("unet")).get("sample_size", 64))
    return Size(batch, native if height is None else height, native if width is None else width)


def _scaling_factor(source: Source) -> float:
    config = source.config(source.family.component("vae_decoder"))
    return float(config.get("scaling_factor", 0.18215))  # AutoencoderKL's own default


def _tokenizers(source: Source, chosen: Sequence[Component]) -> tuple[str, ...]:
    """The tokenizers that the chosen text encoders read."""
    names = {component.name.replace("text_encoder", "tokenizer") for component in chosen}
    return tuple(name for name in source.family.tokenizers if name in names)


def _heaviest_first(chosen: Sequence[Component], checkpoints: dict[str, Checkpoint]) -> list[Component]:
    """The longest job starts first, so that the others fill the second core beside it."""
    return sorted(chosen, key=lambda component: -_numbers(checkpoints[component.name]))


def _numbers(checkpoint: Checkpoint) -> int:
    return sum(tensor.nbytes // ITEM_BYTES.get(tensor.dtype, 1) for tensor in checkpoint.tensors.values())


def _require_space(stage: Path, checkpoints: dict[str, Checkpoint], precision: Precision) -> None:
    needed = sum(map(_numbers, checkpoints.values())) * (4 if precision == "fp32" else 2)
    free = shutil.disk_usage(stage).free
    if free < needed:
        raise RequestError(
            f"the bundle may take {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free there",
            "free some, or go elsewhere",
        )
