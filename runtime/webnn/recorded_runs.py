"""Record the inputs and outputs of a bundle's graphs in one short run on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.chain import Graph, Tensor
from turbo_webnn.models.progress import ReportRuns
from turbo_webnn.runtime.draw import images
from turbo_webnn.runtime.draw.pipeline import Pipeline
from turbo_webnn.runtime.draw.stages import Stages
from turbo_webnn.runtime.ort.sessions import Array

PROMPT = "a photograph of a lighthouse on a cliff at dusk"


@dataclass(frozen=True)
class GraphRun:
    """The inputs and outputs of one run of a graph, by name."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


def record_runs(bundle: Bundle, progress: ReportRuns | None = None) -> dict[Graph, GraphRun]:
    """Record the first run of each graph of `bundle`, with one graph in memory at a time.

    A picture is drawn with the smallest number of steps, and encoded again. Components that do not run in this drawing,
    for example because the bundle lacks another one that it needs, run on seeded noise. Components that the layout runs
    on the CPU are skipped.

    Args:
        bundle: the bundle to run.
        progress: receives the component, the number of its completed runs and their total.

    Returns:
        The recorded run of each graph.

    Raises:
        RequestError: where a graph does not load or run, or its outputs are not finite.
    """
    runs: dict[Graph, GraphRun] = {}

    def record(graph: Graph, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        runs.setdefault(graph, GraphRun(inputs, outputs))

    stages = Stages(bundle, "cpu", keep_graphs=False)
    stages.watch = record
    components = bundle.manifest.components
    if components.keys() >= set(bundle.family.text_to_image):
        _draw_and_encode(stages, progress)
    for component, chain in components.items():
        if chain.graphs[0] not in runs and not chain.on_cpu:
            stages.run(component, {tensor.name: _noise(tensor) for tensor in chain.inputs})
            stages.release(component)
    return runs


def _draw_and_encode(stages: Stages, progress: ReportRuns | None) -> None:
    manifest = stages.bundle.manifest
    pipeline = Pipeline(stages, keep_sessions=False)
    result = pipeline.generate(PROMPT, steps=min(manifest.schedules), progress=progress)
    if manifest.wiring.encoder in manifest.components:
        stages.encode_picture(np.concatenate([images.to_sample(image, *image.size) for image in result.images]))
        stages.release(manifest.wiring.encoder)


def _noise(tensor: Tensor) -> Array:
    """Seeded normal numbers in float32. Token ids count up from 0, because every vocabulary has the first ids."""
    if np.issubdtype(tensor.dtype, np.integer):
        return np.arange(np.prod(tensor.shape), dtype=tensor.dtype).reshape(tensor.shape)
    return np.random.default_rng(0).standard_normal(tensor.shape, np.float32)
