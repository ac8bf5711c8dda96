"""Writes the files of a bundle from a checkpoint: graphs, tokenizers, schedules, the manifest. Imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from turbo_webnn.export.component_graph import ComponentJob, Exported, export_component, measure_component
from turbo_webnn.export.diffusers_files import write_diffusers_files
from turbo_webnn.export.glue import GlueParameters, write_glue
from turbo_webnn.export.quantize.budget import choose_recipe
from turbo_webnn.export.quantize.plan import Quantization
from turbo_webnn.export.quantize.recipe import Recipe
from turbo_webnn.export.request import ExportPlan
from turbo_webnn.export.schedules import make_schedules
from turbo_webnn.export.side_by_side import run_side_by_side
from turbo_webnn.export.tokenizers import write_tokenizer
from turbo_webnn.models.bundle import Manifest, write_manifest
from turbo_webnn.models.chain import Chain
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.progress import ReportFraction
from turbo_webnn.models.schedule import Schedule

SIDE_BY_SIDE = 2
"""Components that are traced at the same time. More need more memory than a small laptop has."""


def assemble(plan: ExportPlan, stage: Path, report: ReportFraction, lifeline: int) -> None:
    """Write every file of the bundle into `stage`.

    Args:
        plan: the plan of the export.
        stage: the folder for the files.
        report: receives the progress of each component.
        lifeline: a descriptor that becomes readable when no process waits for the bundle any more.

    Raises:
        RequestError: if this bundle cannot be made from the checkpoint.
        OSError: if the files cannot be written.
    """
    source, layout = plan.source, plan.layout
    scheduler, schedules = make_schedules(source.scheduler_config(), source.family.schedulers)
    tokenizers = {
        component.tokenizer: write_tokenizer(source, stage, component, layout.tokenizer_files)
        for component in plan.exported
        if component.tokenizer is not None
    }
    for component in plan.read:
        component.part.preload()  # once here, not in the process of each component
    run_jobs = partial(run_side_by_side, report=report, limit=SIDE_BY_SIDE, lifeline=lifeline)
    if plan.quantization is not None and plan.quantization.budget is not None:
        costs = run_jobs(measure_component, _component_jobs(plan, stage))
        plan = replace(plan, quantization=choose_recipe(plan.quantization, costs))
    exported = run_jobs(export_component, _component_jobs(plan, stage))
    if plan.quantization is not None:
        _require_within_budget(plan.quantization.budget, exported)
        _write_recipe(plan.names, plan.quantization, exported, stage)
    chains = {name: result.chain for name, result in exported.items()} | _write_small_graphs(plan, schedules, stage)
    manifest = Manifest(
        family=source.family.name,
        layout=layout.name,
        precision=plan.request.precision,
        size=plan.size,
        source=source.provenance,
        scaling_factor=source.scaling_factor,
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
    """The jobs by component name. The longest job starts first, so that the others use the second core meanwhile."""
    heaviest_first = sorted(plan.exported, key=lambda component: -plan.source.checkpoint(component).count())
    return {component.name: ComponentJob(plan, component, stage) for component in heaviest_first}


def _write_small_graphs(plan: ExportPlan, schedules: Mapping[int, Schedule], stage: Path) -> dict[str, Chain]:
    """Write the small graphs between the components that the layout has; return their chains by name."""
    names = [name for name in plan.names if name in plan.layout.glue]
    if not names:
        return {}
    parameters = GlueParameters.of(plan.source, plan.size, schedules[1], plan.source.scaling_factor)
    return write_glue(names, plan.layout, parameters, stage)


def _require_within_budget(budget: int | None, exported: Mapping[str, Exported]) -> None:
    """Refuse graphs larger than `budget`: a weight that two graphs read is written twice, and recipes count it once."""
    size = sum(file.bytes for result in exported.values() for file in result.chain.files)
    if budget is not None and size > budget:
        raise RequestError(
            f"the graphs came to {size} bytes, more than --size-budget {budget}", "give more, or larger graphs"
        )


def _write_recipe(
    names: Sequence[str], quantization: Quantization, exported: Mapping[str, Exported], stage: Path
) -> None:
    """Write the recipe of this export into the bundle."""
    grids = {name: result.grids or {} for name, result in exported.items()}
    Recipe({name: grids[name] for name in names if name in grids}, quantization.scales).write(stage)


def _conditions(plan: ExportPlan) -> dict[str, tuple[float, ...]]:
    return {name: row for component in plan.exported for name, row in component.constants(plan.size).items()}
