"""One component, from its checkpoint to its files in a bundle. Imports torch; runs in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import onnx_ir as ir
import torch

from turbo_webnn.export.activations import Watch, overflowing, overflows_of
from turbo_webnn.export.chunks import split
from turbo_webnn.export.overflows import NOTHING, Overflows
from turbo_webnn.export.passes import simplify
from turbo_webnn.export.passes.blank_pictures import BlankPictures
from turbo_webnn.export.passes.set_boundary import SetBoundary
from turbo_webnn.export.probes import observe
from turbo_webnn.export.quantize.budget import Costs
from turbo_webnn.export.quantize.component import costs, quantize
from turbo_webnn.export.quantize.energies import ChannelWatch
from turbo_webnn.export.quantize.fit import Energies
from turbo_webnn.export.quantize.grid import Grid
from turbo_webnn.export.quantize.plan import Quantization
from turbo_webnn.export.trace import trace
from turbo_webnn.export.weights import bind
from turbo_webnn.export.writer import write_chain
from turbo_webnn.models.chain import Chain
from turbo_webnn.models.component import Component, Size
from turbo_webnn.models.layout import Place
from turbo_webnn.models.modules import build, matched
from turbo_webnn.models.precision import BOUNDARY_TYPE, Precision
from turbo_webnn.models.progress import ReportStep as Progress
from turbo_webnn.models.source import Source


@dataclass(frozen=True)
class ComponentJob:
    """What one component's export needs to know."""

    source: Source
    component: Component
    place: Place
    size: Size
    precision: Precision
    bundle: Path
    inline: bool = False
    max_graph_bytes: int | None = None
    quantization: Quantization | None = None


@dataclass(frozen=True)
class Exported:
    """A component's entry in the manifest, and the grids of its weights where they are quantised."""

    chain: Chain
    grids: Mapping[str, Grid] | None


def export_component(job: ComponentJob, progress: Progress) -> Exported:
    """Measure, trace, bind, simplify, quantise, set in its place, split and write one component.

    Raises:
        RequestError: where config or checkpoint do not make this component, or a weight exceeds the limit.
        OSError: where the bundle cannot be written.
    """
    model, overflows, energies = _simplified(job, progress)
    grids = None
    if job.quantization is not None:
        grids = quantize(model, job.component, job.quantization, energies)
    place = job.place
    settle(model, place, place_size(job))
    links = split(model, job.max_graph_bytes)
    chain = write_chain(model, links, job.bundle, place.path, lambda done: progress("writing", done), inline=job.inline)
    kept = {**overflows.results, **overflows.inside}
    names = place.names(job.component, job.source.config(job.component))
    return Exported(replace(chain, names=names, float32_parts=kept), grids)


def measure_component(job: ComponentJob, progress: Progress) -> Costs:
    """What the component's weights would cost on the grids that they may be on; nothing is written.

    Raises:
        RequestError: as `export_component` does.
    """
    assert job.quantization is not None
    model, _, energies = _simplified(job, progress)
    return costs(model, job.component, job.quantization, energies)


def _measured(job: ComponentJob, progress: Progress) -> tuple[Overflows, Energies]:
    """What float16 cannot hold, and what the weights meet where they are quantised, from one run of the component."""
    if BOUNDARY_TYPE[job.precision] != "float16":
        return NOTHING, {}
    progress("measuring", 0.0)
    if job.quantization is None or job.quantization.scales == "range":  # plain rounding asks for nothing
        return overflowing(job.component, job.source), {}
    channels, extremes = observe(job.component, job.source, lambda forward: (ChannelWatch(forward), Watch(forward)))
    return overflows_of(extremes, job.component, job.source), channels.relative()


def _simplified(job: ComponentJob, progress: Progress) -> tuple[ir.Model, Overflows, Energies]:
    torch.set_num_threads(1)  # components share the cores, and a forked process has no use for OpenMP's pool
    overflows, energies = _measured(job, progress)
    progress("tracing", 0.0)
    place, config = job.place, job.source.config(job.component)
    model = trace(place.traced(job.component, config), config, place_size(job))
    with torch.device("meta"):
        module = build(job.component, config)
    bind(model, job.component, matched(job.component, module, job.source.checkpoint(job.component)))
    simplify(model, job.precision, overflows)
    return model, overflows, energies


def place_size(job: ComponentJob) -> Size:
    """The size that the graph has in its place, whose batch may be its own."""
    return replace(job.size, batch=job.place.batch or job.size.batch)


def settle(model: ir.Model, place: Place, size: Size) -> None:
    """Give the finished graph the boundary that it has in `place`, in place."""
    if place.blanking is not None:
        BlankPictures(place.blanking, place.blanking.pictures.shape(size, {}))(model)
    SetBoundary(place.ports)(model)
