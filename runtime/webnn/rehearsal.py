"""One short run of a bundle on the CPU, for the sake of what passes through its graphs."""

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
class Passage:
    """One run of a graph: arrays by name, as they crossed its boundary."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


def rehearse(bundle: Bundle, progress: ReportRuns | None = None) -> dict[Graph, Passage]:
    """The first passage through each graph of `bundle`, one graph being in memory at a time.

    A picture is drawn in as few steps as there can be, and encoded again. A component that this does not reach, as
    where the bundle lacks one that a drawing needs, runs on seeded noise. What its layout has run on the CPU does not.

    Args:
        bundle: the bundle to run.
        progress: told the component at work, how many of its runs are done, and how many it will make.

    Raises:
        RequestError: where a graph does not load or run, or gives numbers that are not finite.
    """
    passages: dict[Graph, Passage] = {}

    def keep(graph: Graph, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        passages.setdefault(graph, Passage(inputs, outputs))

    stages = Stages(bundle, "cpu", keep_graphs=False)
    stages.watch = keep
    components = bundle.manifest.components
    if components.keys() >= set(bundle.family.text_to_image):
        _draw_and_encode(stages, progress)
    for component, chain in components.items():
        if chain.graphs[0] not in passages and not chain.on_cpu:
            stages.run(component, {tensor.name: _noise(tensor) for tensor in chain.inputs})
            stages.release(component)
    return passages


def _draw_and_encode(stages: Stages, progress: ReportRuns | None) -> None:
    manifest = stages.bundle.manifest
    pipeline = Pipeline(stages, keep_sessions=False)
    drawn = pipeline.generate(PROMPT, steps=min(manifest.schedules), progress=progress)
    if manifest.wiring.encoder in manifest.components:
        stages.encode_picture(np.concatenate([images.to_sample(image, *image.size) for image in drawn.images]))
        stages.release(manifest.wiring.encoder)


def _noise(tensor: Tensor) -> Array:
    """Normal numbers in float32; ids count up, for every vocabulary has the first ones."""
    if np.issubdtype(tensor.dtype, np.integer):
        return np.arange(np.prod(tensor.shape), dtype=tensor.dtype).reshape(tensor.shape)
    return np.random.default_rng(0).standard_normal(tensor.shape, np.float32)
