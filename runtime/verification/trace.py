"""Comparison inside a component: the outputs of PyTorch's modules against the values of the graph.

Nodes are named after their modules, so the last node of a module computes its output. PyTorch runs first and writes
its values to a temporary folder. onnxruntime then computes the same values in groups, as additional outputs of the
graph. Needs onnx-ir.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx_ir as ir

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.chain import Graph
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.draw.stages import Stages
from turbo_webnn.runtime.ort.loading import start
from turbo_webnn.runtime.ort.sessions import Array, Settings
from turbo_webnn.runtime.verification.measure import Run
from turbo_webnn.runtime.verification.parity import compare
from turbo_webnn.runtime.verification.traced import Traced

MAX_GROUP_BYTES = 1 << 29
"""The largest size in bytes, as float32, of the additional outputs of one run of a graph."""

_SCALED = ("to_q", "q_proj")
"""The export folds the attention's scale into these layers, so their outputs differ from PyTorch's."""


class Traceable(Protocol):
    """The PyTorch implementation: `runtime.reference.reference.Reference`."""

    def run(self, component: str, inputs: Mapping[str, Array], keep: Any = None) -> Any:
        """Run `component` and call `keep` with the output of every module in it."""

    def release(self, component: str) -> None:
        """Free the memory of `component`."""


def trace(stages: Stages, run: Run, component: str, inputs: Mapping[str, Array], reference: Traceable) -> list[Traced]:
    """Compare every value of `component` that is a module's output, in the order of the graphs, on the CPU.

    Args:
        stages: the bundle, without loaded components.
        run: runs a component of `stages`.
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

        def watch(graph: Graph, graph_inputs: Mapping[str, Array], _outputs: Mapping[str, Array]) -> None:
            feeds.setdefault(graph, graph_inputs)

        stages.watch = watch
        try:
            run(component, inputs)
        finally:
            stages.watch = None
            stages.release(component)
        return list(_traced(stages.bundle, component, feeds, expected))


@dataclass
class _Expected:
    """The outputs of PyTorch's modules, on disk; a module that was called more than once is excluded."""

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
    errors: dict[str, float] = {}  # of the traced values, by name
    before: dict[str, frozenset[str]] = {}  # by value: the nearest traced values that it is computed from
    for graph, inputs in feeds.items():
        with bundle.unchanged(graph.files):
            model = ir.load(bundle.path(graph))  # of external data it reads nothing
        modules = {value: module for module, value in module_outputs(model.graph, expected).items()}
        for group in _groups(modules, expected):
            outputs = _run(bundle, graph, model, inputs, group)
            for name in group:
                expected_output = expected[modules[name]]
                if _same_order(expected_output.shape, outputs[name].shape):
                    figures = compare(expected_output.reshape(-1), outputs[name].reshape(-1))
                    errors[name] = figures.relative_l2 if figures.finite else math.inf
        _add_predecessors(model.graph, errors, before)
        for name, module in modules.items():
            if name in errors:
                worst = max((errors[predecessor] for predecessor in before[name]), default=0.0)
                yield Traced(component, module, errors[name], _growth(errors[name], worst, rounding))


def _growth(error: float, before: float, rounding: float) -> float:
    """`error` divided by `before`, both at least `rounding`; 1 where `before` is infinite."""
    return 1.0 if before == math.inf else max(error, rounding) / max(before, rounding)


def module_outputs(nodes: Iterable[ir.Node], modules: Any) -> dict[str, str]:
    """The value that is the output of each module, by the module's path.

    It is the output of the module's last node, including its submodules, where that node belongs to the module
    itself. Otherwise the output is that of a submodule, and the module is left out.

    Args:
        nodes: of the graph, in order.
        modules: the paths of the modules to find.
    """
    last: dict[str, tuple[str, str]] = {}  # by path: the module of the last node in it, and that node's output
    for node in nodes:
        module_path = str(node.name).rpartition("/")[0]
        parts = module_path.split(".")
        for end in range(1, len(parts) + 1):
            last[".".join(parts[:end])] = (module_path, str(node.outputs[0].name))
    return {
        module: value
        for module, (module_path, value) in last.items()
        if module_path == module and module in modules and not module.endswith(_SCALED)
    }


def _groups(modules: Mapping[str, str], expected: _Expected) -> Iterator[list[str]]:
    """Group the names of values, each group up to MAX_GROUP_BYTES or a single value."""
    group: list[str] = []
    group_bytes = 0
    for name, module in modules.items():
        size = 4 * int(np.prod(expected.shapes[module]))
        if group and group_bytes + size > MAX_GROUP_BYTES:
            yield group
            group, group_bytes = [], 0
        group.append(name)
        group_bytes += size
    if group:
        yield group


def _run(
    bundle: Bundle, graph: Graph, model: ir.Model, feeds: Mapping[str, Array], names: list[str]
) -> dict[str, Array]:
    """Load `graph` and compute the values `names` in one run. They become the outputs of `model`."""
    values = ir.convenience.create_value_mapping(model.graph)
    model.graph.outputs[:] = [values[name] for name in names]
    path = bundle.path(graph)
    wrong = f"{path} with further outputs does not load"
    with bundle.unchanged(graph.files):
        session = start(
            ir.to_proto(model).SerializeToString(), Settings("cpu"), wrong, bound=False, weights=path.parent
        )
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def _same_order(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Whether arrays of these shapes have the same values in the same order: equal in number, and not transposed."""
    if np.prod(first) != np.prod(second):
        return False
    a, b = ([side for side in shape if side > 1] for shape in (first, second))
    return a == b or sorted(a) != sorted(b)


def _add_predecessors(nodes: Iterable[ir.Node], traced: Mapping[str, float], before: dict[str, frozenset[str]]) -> None:
    """Add to `before` the nearest traced values of each output of `nodes`."""
    for node in nodes:
        nearest: set[str] = set()
        for name in (value.name for value in node.inputs if value is not None and value.name):
            nearest |= {name} if name in traced else before.get(name, frozenset())
        before.update(dict.fromkeys((str(value.name) for value in node.outputs), frozenset(nearest)))


def _rounding(bundle: Bundle) -> float:
    """The unit roundoff of the bundle's type."""
    wide = bundle.manifest.precision == "fp32"
    return float(np.finfo(np.float32 if wide else np.float16).eps) / 2
