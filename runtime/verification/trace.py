"""Where inside a component the bundle and PyTorch part: the outputs of PyTorch's modules beside the graph's values.

Nodes are named after the modules that they come from, so the last node of a module gives its output. PyTorch runs
first and leaves its values in a temporary folder; a few of them at a time are then asked of onnxruntime as further
outputs of the graph. Needs onnx.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.chain import Graph
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.draw.stages import Stages
from turbo_webnn.runtime.ort.loading import start
from turbo_webnn.runtime.ort.sessions import Array, Settings
from turbo_webnn.runtime.verification.measure import Run
from turbo_webnn.runtime.verification.parity import compare
from turbo_webnn.runtime.verification.traced import Traced

AT_ONCE = 1 << 29
"""Bytes, in float32, of the values that one run of a graph is asked for besides its outputs."""

_SCALED = ("to_q", "q_proj")
"""The export folds the scale of the attention into these: their outputs are not PyTorch's, and are not meant to be."""


class Traceable(Protocol):
    """PyTorch: `runtime.reference.reference.Reference`."""

    def run(self, component: str, inputs: Mapping[str, Array], keep: Any = None) -> Any:
        """Run `component` and tell `keep` of the output of every module inside."""

    def release(self, component: str) -> None:
        """Give back the memory of `component`."""


def trace(stages: Stages, run: Run, component: str, inputs: Mapping[str, Array], reference: Traceable) -> list[Traced]:
    """Every value of `component` that is a module's output, in the order of the graphs, on the CPU.

    Args:
        stages: the bundle, without loaded components.
        run: of `stages`, as `inputs` are named.
        component: its name.
        inputs: of one run, as the reference receives them.
        reference: the PyTorch implementation.

    Raises:
        RequestError: as `reference` and `run` do.
    """
    with tempfile.TemporaryDirectory(prefix="turbo-webnn-") as folder:
        expected = _Expected(Path(folder))
        reference.run(component, inputs, expected.keep)
        reference.release(component)
        feeds: dict[Graph, Mapping[str, Array]] = {}

        def watch(graph: Graph, given: Mapping[str, Array], _outputs: Mapping[str, Array]) -> None:
            feeds.setdefault(graph, given)

        stages.watch = watch
        try:
            run(component, inputs)
        finally:
            stages.watch = None
            stages.release(component)
        return list(_traced(stages.bundle, component, feeds, expected))


@dataclass
class _Expected:
    """The outputs of PyTorch's modules, on disk; what was called more than once has no one output."""

    folder: Path
    calls: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def keep(self, module: str, output: Float32Array) -> None:
        self.calls[module] = self.calls.get(module, 0) + 1
        self.shapes[module] = output.shape
        if self.calls[module] == 1:
            np.save(self._path(module), output)

    def __contains__(self, module: str) -> bool:
        return self.calls.get(module) == 1

    def __getitem__(self, module: str) -> Float32Array:
        output: Float32Array = np.load(self._path(module))
        return output

    def _path(self, module: str) -> Path:
        return self.folder / f"{module}.npy"


def _traced(
    bundle: Bundle, component: str, feeds: Mapping[Graph, Mapping[str, Array]], expected: _Expected
) -> Iterator[Traced]:
    rounding = _rounding(bundle)
    errors: dict[str, float] = {}  # of the traced values, by their names
    before: dict[str, frozenset[str]] = {}  # by value: the traced ones that it is computed from, with none between
    for graph, given in feeds.items():
        with bundle.unchanged(graph.files):
            model = onnx.load(bundle.path(graph), load_external_data=False)
        modules = {value: module for module, value in module_outputs(model.graph.node, expected).items()}
        for group in _groups(modules, expected):
            outputs = _run(bundle, graph, model, given, group)
            for name in group:
                wanted = expected[modules[name]]
                if _same_order(wanted.shape, outputs[name].shape):
                    figures = compare(wanted.reshape(-1), outputs[name].reshape(-1))
                    errors[name] = figures.relative_l2 if figures.finite else math.inf
        _look_back(model.graph.node, errors, before)
        for name, module in modules.items():
            if name in errors:
                worst = max((errors[each] for each in before[name]), default=0.0)
                yield Traced(component, module, errors[name], _growth(errors[name], worst, rounding))


def _growth(error: float, before: float, rounding: float) -> float:
    """`error` over the one `before`, neither below `rounding`; 1 where nothing was finite before."""
    return 1.0 if before == math.inf else max(error, rounding) / max(before, rounding)


def module_outputs(nodes: Iterable[onnx.NodeProto], modules: Any) -> dict[str, str]:
    """The value that is the output of each module, by the module's path.

    It is the output of the last node of all that the module holds, where that node is the module's own: otherwise the
    module gives what one of its parts gives.

    Args:
        nodes: of the graph, in order.
        modules: what is asked for.
    """
    last: dict[str, tuple[str, str]] = {}  # by path: the place of the last node inside, and its output
    for node in nodes:
        place = node.name.rpartition("/")[0]
        parts = place.split(".")
        for end in range(1, len(parts) + 1):
            last[".".join(parts[:end])] = (place, node.output[0])
    return {
        module: value
        for module, (place, value) in last.items()
        if place == module and module in modules and not module.endswith(_SCALED)
    }


def _groups(modules: Mapping[str, str], expected: _Expected) -> Iterator[list[str]]:
    """Names of values, together no larger than AT_ONCE, or one alone."""
    group: list[str] = []
    held = 0
    for name, module in modules.items():
        size = 4 * int(np.prod(expected.shapes[module]))
        if group and held + size > AT_ONCE:
            yield group
            group, held = [], 0
        group.append(name)
        held += size
    if group:
        yield group


def _run(
    bundle: Bundle, graph: Graph, model: onnx.ModelProto, feeds: Mapping[str, Array], names: list[str]
) -> dict[str, Array]:
    """The values of those names in `graph`, which is loaded for this one run."""
    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    del asked.graph.output[:]
    asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    path = bundle.path(graph)
    wrong = f"{path} with further outputs does not load"
    with bundle.unchanged(graph.files):
        session = start(asked.SerializeToString(), Settings("cpu"), wrong, bound=False, weights=path.parent)
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def _same_order(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether arrays of these shapes hold the same numbers in the same order: as many, and not transposed."""
    if np.prod(one) != np.prod(other):
        return False
    a, b = ([side for side in shape if side > 1] for shape in (one, other))
    return a == b or sorted(a) != sorted(b)


def _look_back(nodes: Iterable[onnx.NodeProto], traced: Mapping[str, float], before: dict[str, frozenset[str]]) -> None:
    """Enter into `before` the nearest traced values of each value that `nodes` make."""
    for node in nodes:
        above: set[str] = set()
        for name in node.input:
            above |= {name} if name in traced else before.get(name, frozenset())
        before.update(dict.fromkeys(node.output, frozenset(above)))


def _rounding(bundle: Bundle) -> float:
    """The unit roundoff of the bundle's type."""
    wide = bundle.manifest.precision == "fp32"
    return float(np.finfo(np.float32 if wide else np.float16).eps) / 2
