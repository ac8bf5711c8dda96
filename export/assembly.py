"""A bundle's files from a checkpoint: graphs side by side, tokenizers, schedules, the manifest. Imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from turbo_webnn.export.component_graph import ComponentJob, Exported, export_component, measure_component
from turbo_webnn.export.diffusers_files import write_diffusers_files
from turbo_webnn.export.glue import Numbers, write_glue
from turbo_webnn.export.quantize.budget import within_budget
from turbo_webnn.export.quantize.plan import Quantization
from turbo_webnn.export.quantize.recipe import Recipe
from turbo_webnn.export.schedules import schedules_of
from turbo_webnn.export.side_by_side import run_side_by_side
from turbo_webnn.export.tokenizers import write_tokenizer
from turbo_webnn.export.worker import BundleJob
from turbo_webnn.models.bundle import Manifest, write_manifest
from turbo_webnn.models.component import Component, Size
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.family import constant_conditions
from turbo_webnn.models.layouts import layout_of
from turbo_webnn.models.progress import ReportFraction as Report
from turbo_webnn.models.source import Source

SIDE_BY_SIDE = 2
"""Components traced at a time: more would cost memory that a small laptop lacks."""


def assemble(job: BundleJob, report: Report, lifeline: int) -> None:
    """Write every file of the bundle into `job.stage`.

    Args:
        job: what to export, and the folder for the files.
        report: receives the progress of each component.
        lifeline: a descriptor that can be read when nobody waits for the bundle any more.

    Raises:
        RequestError: where the checkpoint does not make this bundle.
        OSError: where the files cannot be written.
    """
    source, family, asked = job.source, job.source.family, job.quantization
    layout = layout_of(job.layout, family.name, job.precision, asked.form if asked else None)
    baked = frozenset({"time_ids"} if job.bake_time_ids else ())
    components = tuple(family.component(name).without_inputs(baked) for name in job.components if name in layout.places)
    scheduler, schedules = schedules_of(source.scheduler_config())
    tokenizers = {
        component.tokenizer: write_tokenizer(source, job.stage, component, layout.tokenizer_files)
        for component in components
        if component.tokenizer is not None
    }
    jobs = {
        component.name: ComponentJob(
            source,
            component,
            layout.places[component.name],
            job.size,
            job.precision,
            job.stage,
            layout.inline,
            job.max_graph_bytes,
            asked,
        )
        for component in _heaviest_first(source, components)
    }
    if asked is not None and asked.budget is not None and asked.recipe is None:
        costs = run_side_by_side(measure_component, jobs, report, limit=SIDE_BY_SIDE, lifeline=lifeline)
        asked = within_budget(asked, costs)
        jobs = {name: replace(each, quantization=asked) for name, each in jobs.items()}
    exported = run_side_by_side(export_component, jobs, report, limit=SIDE_BY_SIDE, lifeline=lifeline)
    chains = {name: each.chain for name, each in exported.items()}
    if asked is not None:
        _require_within(asked.budget, exported)
        _write_recipe(job, asked, exported)
    small = [name for name in job.components if name in layout.glue]
    if small:
        chains |= write_glue(
            small, layout, Numbers.of(source, job.size, schedules[1], _scaling_factor(source)), job.stage
        )
    manifest = Manifest(
        family=family.name,
        layout=layout.name,
        precision=job.precision,
        size=job.size,
        source=source.provenance,
        scaling_factor=_scaling_factor(source),
        scheduler=scheduler,
        schedules=schedules,
        components={name: chains[name] for name in job.components},
        tokenizers=tokenizers,
        conditions=_conditions(components, job.size),
        files=write_diffusers_files(source, components, job.stage) if layout.diffusers_files else (),
        vae_encoder_output=layout.vae_encoder_output,
    )
    write_manifest(job.stage, manifest)


def _require_within(budget: int | None, exported: Mapping[str, Exported]) -> None:
    """A weight that two graphs of a chain read is written twice, which no recipe foresees."""
    size = sum(file.bytes for each in exported.values() for file in each.chain.files)
    if budget is not None and size > budget:
        raise RequestError(
            f"the graphs came to {size} bytes, more than --size-budget {budget}", "give more, or larger graphs"
        )


def _write_recipe(job: BundleJob, asked: Quantization, exported: Mapping[str, Exported]) -> None:
    """Keep the recipe that was followed in the bundle."""
    grids = {name: each.grids or {} for name, each in exported.items()}
    Recipe({name: grids[name] for name in job.components if name in grids}, asked.scales).write(job.stage)


def _scaling_factor(source: Source) -> float:
    config = source.config(source.family.component("vae_decoder"))
    return float(config.get("scaling_factor", 0.18215))  # AutoencoderKL's own default


def _conditions(components: tuple[Component, ...], size: Size) -> dict[str, tuple[float, ...]]:
    return {name: row for each in components for name, row in constant_conditions(each, size).items()}


def _heaviest_first(source: Source, components: tuple[Component, ...]) -> list[Component]:
    """The longest job starts first, so that the others fill the second core beside it."""
    return sorted(components, key=lambda component: -source.checkpoint(component).count())
