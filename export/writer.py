"""A finished graph onto disk: the .onnx file, and its weights beside it in shards."""

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
"""The newest WebNN samples' limit: browsers cap an ArrayBuffer just under 2 GiB."""

INLINE_BYTES = 1024
"""Initializers up to this size stay in the .onnx file: shape-like inputs must be read with the graph."""

_IN_FLIGHT_BYTES = 64 << 20


def write_chain(
    whole: ir.Model, links: Sequence[ir.Model], bundle: Path, path: str, progress: ReportShare, *, inline: bool = False
) -> Chain:
    """Write the `links` of `whole` to `path` in the folder `bundle`; return the component's entry in the manifest.

    Several links of `model.onnx` become `model-1.onnx` and so on. The same model gives the same bytes.
    Weights are made as they are written, a tensor at a time: beside the graph, or, with `inline`, into its file.

    Raises:
        RequestError: where a weight cannot be written (NaN, Inf, out of float16's range), or one file is too small
            for the weights.
    """
    whole_path = PurePosixPath(path)
    numbers = [""] if len(links) == 1 else [f"-{number}" for number in range(1, len(links) + 1)]
    (bundle / path).parent.mkdir(parents=True, exist_ok=True)
    graphs = []
    for done, (number, link) in enumerate(zip(numbers, links, strict=True)):
        file = bundle / whole_path.with_stem(whole_path.stem + number)
        graphs.append(_write_graph(link, bundle, file, _share(progress, done, len(links)), inline=inline))
    return Chain(_tensors(whole.graph.inputs), _tensors(whole.graph.outputs), tuple(graphs))


def _share(progress: ReportShare, done: int, parts: int) -> ReportShare:
    """ReportShare on the whole as the next part of `parts` makes it, after `done` of them."""
    return lambda fraction: progress((done + fraction) / parts)


def _write_graph(model: ir.Model, bundle: Path, path: Path, progress: ReportShare, *, inline: bool) -> Graph:
    _require_static(model)
    if inline:
        save_inline(model, path, INLINE_BYTES, progress)
    else:
        _save_beside(model, path, progress)
    return Graph(
        files=tuple(describe(bundle, file) for file in (path, *_shards(path))),
        nodes=len(model.graph),
        inputs=_tensors(model.graph.inputs),
        outputs=_tensors(model.graph.outputs),
    )


def _save_beside(model: ir.Model, path: Path, progress: ReportShare) -> None:
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
    """The weights beside the graph at `path`, under the names that onnx-ir gives one shard and several."""
    name = re.compile(rf"{re.escape(path.stem)}(-\d{{5}}-of-\d{{5}})?\.onnx\.data")
    return sorted(file for file in path.parent.iterdir() if name.fullmatch(file.name))


def _tensors(values: Iterable[ir.Value]) -> tuple[Tensor, ...]:
    return tuple(_tensor(value) for value in values)


def _tensor(value: ir.Value) -> Tensor:
    assert value.dtype is not None
    assert value.shape is not None
    return Tensor(str(value.name), str(value.dtype.numpy()), tuple(value.shape.numpy()))


def _require_static(model: ir.Model) -> None:
    """Every value has a type and numbers for a shape: what the trace and the passes promise."""
    for node in model.graph:
        for value in node.outputs:
            static = value.dtype is not None and value.shape is not None and value.shape.is_static()
            assert static, f"{node.name} gives {value.name} without a static shape"
