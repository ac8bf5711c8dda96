"""A component as it lies in a bundle: a chain of one or more graphs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Dimension = Annotated[int, Meta(ge=0, lt=1 << 31)]

TensorType = Annotated[str, Meta(pattern="^(float16|float32|int8|uint8|int32|int64|bool)$")]
"""numpy's names of the types that cross boundaries."""


@dataclass(frozen=True)
class BundleFile:
    """One file of a bundle; `path` is relative to the bundle, with forward slashes.

    Raises:
        ValueError: where `path` leads out of the bundle.
    """

    path: str
    bytes: Count
    sha256: Sha256

    def __post_init__(self) -> None:
        path = PurePosixPath(self.path)
        if path.is_absolute() or ".." in path.parts or "\\" in self.path or "\0" in self.path:
            raise ValueError(f"{self.path} leaves the bundle")
        if not path.parts:
            raise ValueError(f"{self.path!r} names no file")


Files = Annotated[tuple[BundleFile, ...], Meta(min_length=1)]


@dataclass(frozen=True)
class Tensor:
    """One tensor at a graph's boundary; `dtype` is numpy's name of the type."""

    name: str
    dtype: TensorType
    shape: Annotated[tuple[Dimension, ...], Meta(max_length=8)]


@dataclass(frozen=True)
class Graph:
    """One ONNX graph of a bundle. The first file is the graph, the others are its weights."""

    files: Files
    nodes: Count
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def path(self) -> str:
        """The .onnx file, relative to the bundle."""
        return self.files[0].path


Adapter = Literal["first_half", "sample"]
"""What makes the contract's tensor of a layout's, which has twice the channels: the mean of normal distributions, then
the logarithm of their variance.

`first_half` takes the mean, though a consumer may sample. `sample` computes mean + exp(logarithm / 2)·noise, though a
consumer may take the mean."""


class BrowserRun(TypedDict):
    """What a real browser did with a graph; milliseconds and error are None where it came to neither."""

    whole: bool
    reason: str
    browser: str
    onnxruntime_web: NotRequired[str]
    device: NotRequired[str]
    create_ms: NotRequired[int | None]
    run_ms: NotRequired[int | None]
    relative_l2: NotRequired[float | None]


class GraphVerdict(TypedDict):
    """What keeps a graph off WebNN: by the rules, by the provider for each table and level, in a browser."""

    path: str
    whole: bool
    findings: list[str]
    provider: dict[str, bool]
    browser: BrowserRun | None


class Verdict(TypedDict):
    """What keeps a component off WebNN, graph by graph."""

    whole: bool
    graphs: list[GraphVerdict]


@dataclass(frozen=True)
class Chain:
    """A component: graphs that run one after another, mostly one alone.

    A graph reads inputs of the component, by their names, and outputs of any graph before it. The component's
    outputs are outputs of its graphs, by the same names.

    Attributes:
        names: by the contract's name, what is called otherwise here.
        adapters: by the contract's name, what makes the contract's tensor of the one here, whose channels are a mean
            and the logarithm of a variance: `first_half` takes the mean, `sample` adds exp(logarithm / 2)·noise to it.
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
    adapters: dict[str, Adapter] = field(default_factory=dict)
    on_cpu: bool = False
    webnn: Verdict | None = None
    float32_parts: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        available = set(self.inputs)
        for graph in self.graphs:
            _require_available(graph.inputs, available, graph.path)
            available.update(graph.outputs)
        _require_available(self.outputs, available, "the component")

    @property
    def nodes(self) -> int:
        """Nodes of all its graphs."""
        return sum(graph.nodes for graph in self.graphs)

    @property
    def files(self) -> tuple[BundleFile, ...]:
        """Files of all its graphs."""
        return tuple(file for graph in self.graphs for file in graph.files)


def _require_available(tensors: Iterable[Tensor], available: set[Tensor], where: str) -> None:
    missing = next((tensor for tensor in tensors if tensor not in available), None)
    if missing is not None:
        raise ValueError(f"{where}: nothing gives {missing.name}")
