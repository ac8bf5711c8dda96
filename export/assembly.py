"""A bundle's files from a checkpoint: graphs side by side, tokenizers, schedules, the manifest. Imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from turbo_webnn.export.component_graph import ComponentJob, Exported, export_component, measure_component
from turbo_webnn.export.diffusers_files import write_diffusers_files
from turbo_webnn.export.glue import Numbers, write_glue
from turbo_webnn.export.job import BundleJob
from turbo_webnn.export.quantize.budget import within_budget
from turbo_webnn.export.quantize.plan import Quantization
from turbo_webnn.export.quantize.recipe import Recipe
from turbo_webnn.export.request import ExportPlan
from turbo_webnn.export.schedules import schedules_of
from turbo_webnn.export.side_by_side import run_side_by_side
from turbo_webnn.export.tokenizers import write_tokenizer
from turbo_webnn.models.bundle import Manifest, write_manifest
from turbo_webnn.models.chain import Chain
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.parts.autoencoder_kl import SCALING_FACTOR
from turbo_webnn.models.progress import ReportFraction
from turbo_webnn.models.schedule import Schedule
from turbo_webnn.models.source import Source

SIDE_BY_SIDE = 2
"""Components traced at a time: more would cost memory that a small laptop lacks."""


def assemble(job: BundleJob, report: ReportFraction, lifeline: int) -> None:
    """Write every file of the bundle into `job.stage`.

    Args:
        job: what to export, and the folder for the files.
        report: receives the progress of each component.
        lifeline: a descriptor that can be read when nobody waits for the bundle any more.

    Raises:
        RequestError: where the checkpoint does not make this bundle.
        OSError: where the files cannot be written.
    """
    plan, stage = job.plan, job.stage
    source, layout = plan.source, plan.layout
    scheduler, schedules = schedules_of(source.scheduler_config(), source.family.schedulers)
    tokenizers = {
        component.tokenizer: write_tokenizer(source, stage, component, layout.tokenizer_files)
        for component in plan.exported
        if component.tokenizer is not None
    }
    run = partial(run_side_by_side, report=report, limit=SIDE_BY_SIDE, lifeline=lifeline)
    if plan.quantization is not None and plan.quantization.budget is not None:
        costs = run(measure_component, _component_jobs(plan, stage))
        plan = replace(plan, quantization=within_budget(plan.quantization, costs))
    exported = run(export_component, _component_jobs(plan, stage))
    if plan.quantization is not None:
        _require_within(plan.quantization.budget, exported)
        _write_recipe(plan.names, plan.quantization, exported, stage)
    chains = {name: each.chain for name, each in exported.items()} | _small_graphs(plan, schedules, stage)
    manifest = Manifest(
        family=source.family.name,
        layout=layout.name,
        precision=plan.request.precision,
        size=plan.size,
        source=source.provenance,
        scaling_factor=_scaling_factor(source),
        scheduler=scheduler,
        schedules=schedules,
        components={name: chains[name] for name in plan.names},
        tokenizers=tokenizers,
        conditions=_conditions(plan),
        wiring=source.family.wiring,
        files=write_diffusers_files(source, plan.exported, stage) if layout.diffusers_files else (),
    )
    write_manifest(stage, manifest)


def _component_jobs(plan: ExportPlan, stage: Path) -> dict[str, ComponentJob]:
    """By component; the longest job starts first, so that the others fill the second core beside it."""
    heaviest_first = sorted(plan.exported, key=lambda component: -plan.source.checkpoint(component).count())
    return {component.name: ComponentJob(plan, component, stage) for component in heaviest_first}


def _small_graphs(plan: ExportPlan, schedules: Mapping[int, Schedule], stage: Path) -> dict[str, Chain]:
    """The graphs between the components, written where the layout has any."""
    names = [name for name in plan.names if name in plan.layout.glue]
    if not names:
        return {}
    numbers = Numbers.of(plan.source, plan.size, schedules[1], _scaling_factor(plan.source))
    return write_glue(names, plan.layout, numbers, stage)


def _require_within(budget: int | None, exported: Mapping[str, Exported]) -> None:
    """A weight that two graphs of a chain read is written twice, which no recipe foresees."""
    size = sum(file.bytes for each in exported.values() for file in each.chain.files)
    if budget is not None and size > budget:
        raise RequestError(
            f"the graphs came to {size} bytes, more than --size-budget {budget}", "give more, or larger graphs"
        )


def _write_recipe(
    names: Sequence[str], quantization: Quantization, exported: Mapping[str, Exported], stage: Path
) -> None:
    """Keep the recipe that was followed in the bundle."""
    grids = {name: each.grids or {} for name, each in exported.items()}
    Recipe({name: grids[name] for name in names if name in grids}, quantization.scales).write(stage)


def _scaling_factor(source: Source) -> float:
    config = source.config(source.family.decoder)
    return float(config.get("scaling_factor", SCALING_FACTOR))


def _conditions(plan: ExportPlan) -> dict[str, tuple[float, ...]]:
    return {name: row for each in plan.exported for name, row in each.constants(plan.size).items()}
