"""Writes a finished graph to disk: the .onnx file, and its weights in shards beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

import onnx_ir as ir

from turbo_webnn.export.inline import save_inline
from turbo_webnn.models.bundle import describe
from turbo_webnn.models.chain import Chain, Graph, Tensor
from turbo_webnn.models.progress import ReportShare

SHARD_BYTES = 1_900_000_000
"""The limit of the newest WebNN samples: the largest ArrayBuffer of browsers is slightly smaller than 2 GiB."""

INLINE_BYTES = 1024
"""Initializers up to this size stay in the .onnx file: inputs that are shapes must be read together with the graph."""

_IN_FLIGHT_BYTES = 64 << 20


def write_chain(
    whole: ir.Model, links: Sequence[ir.Model], bundle: Path, path: str, progress: ReportShare, *, inline: bool = False
) -> Chain:
    """Write a component's graph, or its chain of graphs; return the component's entry in the manifest.

    Several links of `model.onnx` become `model-1.onnx` and so on. The same model gives the same bytes. Weights are
    computed while they are written, one tensor at a time.

    Args:
        whole: the graph before it was split.
        links: the graphs to write; `whole` alone if it was not split.
        bundle: the folder of the bundle.
        path: the path of the .onnx file in the bundle.
        progress: receives the fraction that is written.
        inline: whether the weights are inside the .onnx file; else they are in shards beside it.

    Raises:
        RequestError: if a weight cannot be written (NaN, Inf, out of float16's range), or if the weights are too large
            for one file.
    """
    component_path = PurePosixPath(path)
    numbers = [""] if len(links) == 1 else [f"-{number}" for number in range(1, len(links) + 1)]
    (bundle / path).parent.mkdir(parents=True, exist_ok=True)
    graphs = []
    for done, (number, link) in enumerate(zip(numbers, links, strict=True)):
        file = bundle / component_path.with_stem(component_path.stem + number)
        graphs.append(_write_graph(link, bundle, file, _share(progress, done, len(links)), inline=inline))
    return Chain(_tensors(whole.graph.inputs), _tensors(whole.graph.outputs), tuple(graphs))


def _share(progress: ReportShare, done: int, parts: int) -> ReportShare:
    """The progress of the next part, converted to progress of all `parts`, of which `done` are finished."""
    return lambda fraction: progress((done + fraction) / parts)


def _write_graph(model: ir.Model, bundle: Path, path: Path, progress: ReportShare, *, inline: bool) -> Graph:
    _require_static(model)
    if inline:
        save_inline(model, path, INLINE_BYTES, progress)
    else:
        _save_with_shards(model, path, progress)
    return Graph(
        files=tuple(describe(bundle, file) for file in (path, *_shards(path))),
        nodes=len(model.graph),
        inputs=_tensors(model.graph.inputs),
        outputs=_tensors(model.graph.outputs),
    )


def _save_with_shards(model: ir.Model, path: Path, progress: ReportShare) -> None:
    ir.save(
        model,
        path,
        external_data=f"{path.name}.data",
        size_threshold_bytes=INLINE_BYTES,
        max_shard_size_bytes=SHARD_BYTES,
        callback=lambda _tensor, info: progress((info.index + 1) / info.total),
        max_workers=2,
        max_in_flight_bytes=_IN_FLIGHT_BYTES,
    )


def _shards(path: Path) -> list[Path]:
    """The shards of the graph at `path`, by the names that onnx-ir gives to one shard and to several."""
    name = re.compile(rf"{re.escape(path.stem)}(-\d{{5}}-of-\d{{5}})?\.onnx\.data")
    return sorted(file for file in path.parent.iterdir() if name.fullmatch(file.name))


def _tensors(values: Iterable[ir.Value]) -> tuple[Tensor, ...]:
    return tuple(_tensor(value) for value in values)


def _tensor(value: ir.Value) -> Tensor:
    assert value.dtype is not None
    assert value.shape is not None
    return Tensor(str(value.name), str(value.dtype.numpy()), tuple(value.shape.numpy()))


def _require_static(model: ir.Model) -> None:
    """Assert that every value has a type and a static shape, as the trace and the passes ensure."""
    for node in model.graph:
        for value in node.outputs:
            static = value.dtype is not None and value.shape is not None and value.shape.is_static()
            assert static, f"{node.name} gives {value.name} without a static shape"
