"""Exports one component from its checkpoint to its files in a bundle. Imports torch; runs in its own process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import onnx_ir as ir
import torch

from turbo_webnn.export.activations import ActivationWatch, find_overflows, select_overflows
from turbo_webnn.export.chunks import split_graph
from turbo_webnn.export.overflows import NO_OVERFLOWS, Overflows
from turbo_webnn.export.passes import boundary_passes, run_passes, simplify
from turbo_webnn.export.probes import observe
from turbo_webnn.export.quantize.budget import Costs
from turbo_webnn.export.quantize.component import measure_costs, quantize
from turbo_webnn.export.quantize.energies import ChannelWatch
from turbo_webnn.export.quantize.fit import Energies
from turbo_webnn.export.quantize.grid import Grid
from turbo_webnn.export.request import ExportPlan
from turbo_webnn.export.trace import trace
from turbo_webnn.export.weights import bind_weights
from turbo_webnn.export.writer import write_chain
from turbo_webnn.models.chain import Chain
from turbo_webnn.models.component import Component, Size
from turbo_webnn.models.layouts.layout import Place
from turbo_webnn.models.modules import build_meta, weights_of
from turbo_webnn.models.progress import ReportStep
from turbo_webnn.models.source import Source


@dataclass(frozen=True)
class ComponentJob:
    """The export of `component` according to `plan`, into the folder `stage`."""

    plan: ExportPlan
    component: Component
    stage: Path

    @property
    def source(self) -> Source:
        """The source of the component's config and weights."""
        return self.plan.source

    @property
    def place(self) -> Place:
        """The component's place in the layout."""
        return self.plan.layout.places[self.component.name]

    @property
    def size(self) -> Size:
        """The size that the graph serves. The component's place in the layout may set another batch."""
        return replace(self.plan.size, batch=self.place.batch or self.plan.size.batch)


@dataclass(frozen=True)
class Exported:
    """A component's entry in the manifest, and the grids of its weights; None if they are not quantised."""

    chain: Chain
    grids: Mapping[str, Grid] | None


def export_component(job: ComponentJob, progress: ReportStep) -> Exported:
    """Measure, trace, bind, simplify, quantise, give the layout's boundary, split and write one component.

    Raises:
        RequestError: if config or checkpoint do not fit this component, or if a weight exceeds the limit.
        OSError: if the bundle cannot be written.
    """
    plan, place = job.plan, job.place
    model, overflows, energies = _make_simplified_graph(job, progress)
    grids = None
    if plan.quantization is not None:
        grids = quantize(model, job.component, plan.quantization, energies)
    apply_boundary(model, place, job.size)
    links = split_graph(model, plan.request.max_graph_bytes)
    write = partial(progress, "writing")
    chain = write_chain(model, links, job.stage, place.path, write, inline=plan.layout.inline)
    float32_parts = {**overflows.results, **overflows.inside}
    names = place.names(job.component, job.source.config(job.component))
    return Exported(replace(chain, names=names, adapters=dict(place.adapters), float32_parts=float32_parts), grids)


def measure_component(job: ComponentJob, progress: ReportStep) -> Costs:
    """Measure the bytes and the error of the component's weights on each grid that is allowed. Nothing is written.

    Raises:
        RequestError: as `export_component`.
    """
    assert job.plan.quantization is not None
    model, _, energies = _make_simplified_graph(job, progress)
    return measure_costs(model, job.component, job.plan.quantization, energies)


def _measure(job: ComponentJob, progress: ReportStep) -> tuple[Overflows, Energies]:
    """Find the modules that overflow float16, and the energies of the weights' inputs, in one run of the component."""
    plan = job.plan
    if not plan.request.measured:
        return NO_OVERFLOWS, {}
    progress("measuring", 0.0)
    if plan.quantization is None or plan.quantization.scales == "range":  # round to nearest needs no energies
        return find_overflows(job.component, job.source), {}
    channel_watch, activation_watch = observe(
        job.component, job.source, lambda forward: (ChannelWatch(forward), ActivationWatch(forward))
    )
    return select_overflows(activation_watch, job.component, job.source), channel_watch.relative()


def _make_simplified_graph(job: ComponentJob, progress: ReportStep) -> tuple[ir.Model, Overflows, Energies]:
    torch.set_num_threads(1)  # components share the cores, and a forked process needs no OpenMP pool
    overflows, energies = _measure(job, progress)
    progress("tracing", 0.0)
    place, config = job.place, job.source.config(job.component)
    model = trace(place.traced(job.component, config), config, job.size)
    module = build_meta(job.component, config)
    bind_weights(model, job.component, weights_of(job.source, job.component, module))
    simplify(model, job.plan.request.precision, overflows, job.plan.request.skip_passes)
    return model, overflows, energies


def apply_boundary(model: ir.Model, place: Place, size: Size) -> None:
    """Give the finished graph the inputs and outputs that it has in the layout's `place`. Changes `model`."""
    run_passes(model, boundary_passes(place, size).values())
