"""The messages between `runtime.bench.process` and a side's process: its options and questions in, answers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from turbo_webnn.models.component import Size
from turbo_webnn.runtime.bench.example import Described
from turbo_webnn.runtime.bench.report import Memory, Task
from turbo_webnn.runtime.ort.settings import Settings


@dataclass(frozen=True)
class OnnxruntimeOptions:
    """The bundle in `folder`."""

    folder: Path
    settings: Settings


@dataclass(frozen=True)
class GraphsOptions:
    """Another exporter's graphs in `folder`, and the inputs of each component of the bundle."""

    folder: Path
    inputs: Mapping[str, Described]
    settings: Settings


@dataclass(frozen=True)
class PytorchOptions:
    """A checkpoint in PyTorch.

    Attributes:
        source: its name, variant and revision.
        inputs: of each component of the bundle.
        conditions: the denoiser's inputs that only the size decides: one row each.
        size: of the pictures.
        compiled: whether modules run through torch.compile.
    """

    source: Mapping[str, str | None]
    inputs: Mapping[str, Described]
    conditions: Mapping[str, Sequence[float]]
    size: Size
    provider: str
    precision: str
    threads: int | None
    tf32: bool
    compiled: bool


Options = OnnxruntimeOptions | GraphsOptions | PytorchOptions


@dataclass(frozen=True)
class Question:
    """Asks for the seconds of `task`, or for the peak of memory where there is no task."""

    task: Task | None = None


@dataclass(frozen=True)
class Answer:
    """The answer to a question; all None where the side lacks the task, and from a side that is ready.

    Attributes:
        refused: why there is no answer.
    """

    seconds: float | None = None
    memory: Memory | None = None
    refused: str | None = None
