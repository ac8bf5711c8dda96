"""One component, from its checkpoint to its files in a bundle. Imports torch; runs in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import onnx_ir as ir
import torch

from turbo_webnn.export.activations import Watch, overflowing, overflows_of
from turbo_webnn.export.chunks import split
from turbo_webnn.export.overflows import NOTHING, Overflows
from turbo_webnn.export.passes import boundary, run, simplify
from turbo_webnn.export.probes import observe
from turbo_webnn.export.quantize.budget import Costs
from turbo_webnn.export.quantize.component import costs, quantize
from turbo_webnn.export.quantize.energies import ChannelWatch
from turbo_webnn.export.quantize.fit import Energies
from turbo_webnn.export.quantize.grid import Grid
from turbo_webnn.export.request import ExportPlan
from turbo_webnn.export.trace import trace
from turbo_webnn.export.weights import bind
from turbo_webnn.export.writer import write_chain
from turbo_webnn.models.chain import Chain
from turbo_webnn.models.component import Component, Size
from turbo_webnn.models.layouts.layout import Place
from turbo_webnn.models.modules import build, matched
from turbo_webnn.models.progress import ReportStep
from turbo_webnn.models.source import Source


@dataclass(frozen=True)
class ComponentJob:
    """The part of `plan` that makes `component`, in the folder `stage`."""

    plan: ExportPlan
    component: Component
    stage: Path

    @property
    def source(self) -> Source:
        """What the component is read from."""
        return self.plan.source

    @property
    def place(self) -> Place:
        """The component's place in the layout."""
        return self.plan.layout.places[self.component.name]

    @property
    def size(self) -> Size:
        """The size that the graph has in its place, whose batch may be its own."""
        return replace(self.plan.size, batch=self.place.batch or self.plan.size.batch)


@dataclass(frozen=True)
class Exported:
    """A component's entry in the manifest, and the grids of its weights where they are quantised."""

    chain: Chain
    grids: Mapping[str, Grid] | None


def export_component(job: ComponentJob, progress: ReportStep) -> Exported:
    """Measure, trace, bind, simplify, quantise, set in its place, split and write one component.

    Raises:
        RequestError: where config or checkpoint do not make this component, or a weight exceeds the limit.
        OSError: where the bundle cannot be written.
    """
    plan, place = job.plan, job.place
    model, overflows, energies = _simplified(job, progress)
    grids = None
    if plan.quantization is not None:
        grids = quantize(model, job.component, plan.quantization, energies)
    settle(model, place, job.size)
    links = split(model, plan.request.max_graph_bytes)
    write = partial(progress, "writing")
    chain = write_chain(model, links, job.stage, place.path, write, inline=plan.layout.inline)
    kept = {**overflows.results, **overflows.inside}
    names = place.names(job.component, job.source.config(job.component))
    return Exported(replace(chain, names=names, adapters=dict(place.adapters), float32_parts=kept), grids)


def measure_component(job: ComponentJob, progress: ReportStep) -> Costs:
    """What the component's weights would cost on the grids that they may be on; nothing is written.

    Raises:
        RequestError: as `export_component` does.
    """
    assert job.plan.quantization is not None
    model, _, energies = _simplified(job, progress)
    return costs(model, job.component, job.plan.quantization, energies)


def _measured(job: ComponentJob, progress: ReportStep) -> tuple[Overflows, Energies]:
    """What float16 cannot hold, and what the weights meet where they are quantised, from one run of the component."""
    plan = job.plan
    if not plan.request.measured:
        return NOTHING, {}
    progress("measuring", 0.0)
    if plan.quantization is None or plan.quantization.scales == "range":  # plain rounding asks for nothing
        return overflowing(job.component, job.source), {}
    channels, extremes = observe(job.component, job.source, lambda forward: (ChannelWatch(forward), Watch(forward)))
    return overflows_of(extremes, job.component, job.source), channels.relative()


def _simplified(job: ComponentJob, progress: ReportStep) -> tuple[ir.Model, Overflows, Energies]:
    torch.set_num_threads(1)  # components share the cores, and a forked process has no use for OpenMP's pool
    overflows, energies = _measured(job, progress)
    progress("tracing", 0.0)
    place, config = job.place, job.source.config(job.component)
    model = trace(place.traced(job.component, config), config, job.size)
    with torch.device("meta"):
        module = build(job.component, config)
    bind(model, job.component, matched(job.component, module, job.source.checkpoint(job.component)))
    simplify(model, job.plan.request.precision, overflows, job.plan.request.skip_passes)
    return model, overflows, energies


def settle(model: ir.Model, place: Place, size: Size) -> None:
    """Give the finished graph the boundary that it has in `place`, in place."""
    run(model, boundary(place, size).values())
