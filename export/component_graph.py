"""One component, from its checkpoint to its files in a bundle. Imports torch; runs in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from export.activations import overflowing
from export.chunks import split
from export.overflows import NOTHING
from export.passes import simplify
from export.trace import trace
from export.weights import bind
from export.writer import write_chain
from models.chain import Chain
from models.component import Component, Size
from models.precision import BOUNDARY_TYPE, Precision
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


def export_component(job: ComponentJob, progress: Progress) -> Chain:
    """Measure, trace, bind, simplify, split and write one component; return its entry in the manifest.

    Raises:
        RequestError: where config or checkpoint do not make this component, or a weight exceeds the limit.
        OSError: where the bundle cannot be written.
    """
    torch.set_num_threads(1)  # components share the cores, and a forked process has no use for OpenMP's pool
    overflows = NOTHING
    if BOUNDARY_TYPE[job.precision] == "float16":
        progress("measuring", 0.0)
        overflows = overflowing(job.component, job.source)
    progress("tracing", 0.0)
    model = trace(job.component, job.source.config(job.component), job.size)
    bind(model, job.component, job.source.checkpoint(job.component))
    simplify(model, job.precision, overflows)
    links = split(model, job.max_graph_bytes)
    chain = write_chain(model, links, job.bundle, job.component.name, lambda done: progress("writing", done))
    return replace(chain, float32_parts={**overflows.results, **overflows.inside})
