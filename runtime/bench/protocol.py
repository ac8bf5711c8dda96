"""The messages between `runtime.bench.process` and the process of a side.

The process receives its options, then questions. It sends answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from turbo_webnn.models.component import Size
from turbo_webnn.runtime.bench.example import InputSpecs
from turbo_webnn.runtime.bench.report import Memory, Task
from turbo_webnn.runtime.ort.settings import Settings


@dataclass(frozen=True)
class OnnxruntimeOptions:
    """Options of the side that runs the bundle in `folder`."""

    folder: Path
    settings: Settings


@dataclass(frozen=True)
class GraphsOptions:
    """Options of the side that runs another exporter's graphs.

    Attributes:
        folder: the folder of the graphs.
        inputs: the input specs of each component of the bundle.
        settings: the settings of onnxruntime.
    """

    folder: Path
    inputs: Mapping[str, InputSpecs]
    settings: Settings


@dataclass(frozen=True)
class PytorchOptions:
    """Options of a side that runs a checkpoint in PyTorch.

    Attributes:
        source: name, variant and revision of the checkpoint.
        inputs: the input specs of each component of the bundle.
        conditions: the inputs of the denoiser that depend only on the size, by name. Each value is one row of the
            batch.
        size: the size of the pictures.
        provider: the execution provider of the bundle, which is also PyTorch's device: `cpu` or `cuda`.
        precision: the precision of the bundle.
        threads: the number of CPU threads; None for PyTorch's default.
        tf32: whether float32 products may use TF32.
        compiled: whether modules run through torch.compile.
    """

    source: Mapping[str, str | None]
    inputs: Mapping[str, InputSpecs]
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
    """A request for the duration of `task`, or for the peak of memory where there is no task."""

    task: Task | None = None


@dataclass(frozen=True)
class Answer:
    """The answer to a question. A side that is ready sends an empty answer first.

    Attributes:
        seconds: the duration of the task; None where the side does not support it.
        memory: the peak of memory, where there is no task.
        refused: the error message where the side failed.
    """

    seconds: float | None = None
    memory: Memory | None = None
    refused: str | None = None
