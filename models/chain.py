"""A component as it lies in a bundle: a chain of one or more graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any


@dataclass(frozen=True)
class BundleFile:
    """One file of a bundle; `path` is relative to the bundle, with forward slashes.

    Raises:
        ValueError: where `path` leads out of the bundle.
    """

    path: str
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        path = PurePosixPath(self.path)
        if path.is_absolute() or ".." in path.parts or "\\" in self.path:
            raise ValueError(f"{self.path} leaves the bundle")


@dataclass(frozen=True)
class Tensor:
    """One tensor at a graph's boundary; `dtype` is numpy's name of the type."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Graph:
    """One ONNX graph of a bundle. The first file is the graph, the others are its weights."""

    files: tuple[BundleFile, ...]
    nodes: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def path(self) -> str:
        """The .onnx file, relative to the bundle."""
        return self.files[0].path


@dataclass(frozen=True)
class Chain:
    """A component: graphs that run one after another, mostly one alone.

    A graph reads inputs of the component, by their names, and outputs of any graph before it. The component's
    outputs are outputs of its graphs, by the same names.

    Attributes:
        names: by the contract's name, what is called otherwise here.
        on_cpu: whether it needs what WebNN has not, and runs on the CPU.
        webnn: the verdict of the last check; None where there was none.
        float32_parts: the modules that stay in float32 in a float16 graph because they overflow, each with the
            largest absolute value measured in it.

    Raises:
        ValueError: where a graph, or the component's output, is promised a tensor that nothing before it gives.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    graphs: tuple[Graph, ...]
    names: dict[str, str] = field(default_factory=dict)
    on_cpu: bool = False
    webnn: dict[str, Any] | None = None
    float32_parts: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = set(self.inputs)
        for graph in self.graphs:
            _require_given(graph.inputs, given, graph.path)
            given.update(graph.outputs)
        _require_given(self.outputs, given, "the component")

    @property
    def nodes(self) -> int:
        """Nodes of all its graphs."""
        return sum(graph.nodes for graph in self.graphs)

    @property
    def files(self) -> tuple[BundleFile, ...]:
        """Files of all its graphs."""
        return tuple(file for graph in self.graphs for file in graph.files)

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> Chain:
        """The chain that a manifest describes; KeyError, TypeError or ValueError where it does not."""
        graphs = tuple(
            Graph(files_of(graph["files"]), graph["nodes"], _tensors(graph["inputs"]), _tensors(graph["outputs"]))
            for graph in held["graphs"]
        )
        inputs, outputs = _tensors(held["inputs"]), _tensors(held["outputs"])
        kept = {place: float(largest) for place, largest in held["float32_parts"].items()}
        return cls(inputs, outputs, graphs, dict(held["names"]), held["on_cpu"], held["webnn"], kept)


def files_of(held: Iterable[Mapping[str, Any]]) -> tuple[BundleFile, ...]:
    """The files that a manifest lists; ValueError where it lists none."""
    files = tuple(BundleFile(**item) for item in held)
    if not files:
        raise ValueError("an entry names no files")
    return files


def _tensors(held: Iterable[Mapping[str, Any]]) -> tuple[Tensor, ...]:
    return tuple(Tensor(item["name"], item["dtype"], tuple(item["shape"])) for item in held)


def _require_given(wanted: Iterable[Tensor], given: set[Tensor], where: str) -> None:
    lacking = next((tensor for tensor in wanted if tensor not in given), None)
    if lacking is not None:
        raise ValueError(f"{where}: nothing gives {lacking.name}")
