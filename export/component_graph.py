"""One component, from its checkpoint to its files in a bundle. Imports torch; runs in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir
import torch

from export.chunks import split
from export.passes import simplify
from export.quantize.budget import Costs
from export.quantize.component import costs, quantize
from export.quantize.grid import Grid
from export.quantize.plan import Quantization
from export.trace import trace
from export.weights import bind
from export.writer import write_chain
from models.chain import Chain
from models.component import Component, Size
from models.precision import Precision
from models.source import Source

Progress = Callable[[str, float], None]
"""Told what is being done ("tracing", "writing") and which fraction of it, 0 to 1."""


@dataclass(frozen=True)
class ComponentJob:
    """What one component's export needs to know."""

    source: Source
    component: Component
    size: Size
    precision: Precision
    bundle: Path
    max_graph_bytes: int | None = None
    quantization: Quantization | None = None


@dataclass(frozen=True)
class Exported:
    """A component's entry in the manifest, and the grids of its weights where they are quantised."""

    chain: Chain
    grids: Mapping[str, Grid] | None


def export_component(job: ComponentJob, progress: Progress) -> Exported:
    """Trace, bind, simplify, quantise, split and write one component.

    Raises:
        RequestError: where config or checkpoint do not make this component, or a weight exceeds the limit.
        OSError: where the bundle cannot be written.
    """
    model = _simplified(job, progress)
    grids = None if job.quantization is None else quantize(model, job.component, job.quantization, {})
    links = split(model, job.max_graph_bytes)
    chain = write_chain(model, links, job.bundle, job.component.name, lambda done: progress("writing", done))
    return Exported(chain, grids)


def measure_component(job: ComponentJob, progress: Progress) -> Costs:
    """What the component's weights would cost on the grids that they may be on; nothing is written.

    Raises:
        RequestError: as `export_component` does.
    """
    assert job.quantization is not None
    model = _simplified(job, progress)
    progress("measuring", 0.0)
    return costs(model, job.component, job.quantization, {})


def _simplified(job: ComponentJob, progress: Progress) -> ir.Model:
    torch.set_num_threads(1)  # components share the cores, and a forked process has no use for OpenMP's pool
    progress("tracing", 0.0)
    model = trace(job.component, job.source.config(job.component), job.size)
    bind(model, job.component, job.source.checkpoint(job.component))
    return simplify(model, job.precision)
