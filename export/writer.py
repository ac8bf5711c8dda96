"""A finished graph onto disk: the .onnx file, and its weights beside it in shards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import onnx_ir as ir

from models.bundle import describe
from models.chain import Chain, Graph, Tensor

SHARD_BYTES = 1_900_000_000
"""The newest WebNN samples' limit: browsers cap an ArrayBuffer just under 2 GiB."""

INLINE_BYTES = 1024
"""Initializers up to this size stay in the .onnx file: shape-like inputs must be read with the graph."""

_IN_FLIGHT_BYTES = 64 << 20

Progress = Callable[[float], None]
"""Told the fraction of weights written, 0 to 1."""


def write_chain(whole: ir.Model, links: Sequence[ir.Model], bundle: Path, name: str, progress: Progress) -> Chain:
    """Write the `links` of `whole` into `name/` in the folder `bundle`; return the component's entry in the manifest.

    The files are `model.onnx` for one link, else `model-1.onnx` and so on. The same model gives the same bytes.
    Weights are made as they are written, a tensor at a time.

    Raises:
        RequestError: where a weight cannot be written (NaN, Inf, out of float16's range).
    """
    (bundle / name).mkdir(parents=True)
    stems = ["model"] if len(links) == 1 else [f"model-{number}" for number in range(1, len(links) + 1)]
    graphs = []
    for done, (stem, link) in enumerate(zip(stems, links, strict=True)):
        graphs.append(_write_graph(link, bundle, f"{name}/{stem}", _share(progress, done, len(links))))
    return Chain(_tensors(whole.graph.inputs), _tensors(whole.graph.outputs), tuple(graphs))


def _share(progress: Progress, done: int, parts: int) -> Progress:
    """Progress on the whole as the next part of `parts` makes it, after `done` of them."""
    return lambda fraction: progress((done + fraction) / parts)


def _write_graph(model: ir.Model, bundle: Path, stem: str, progress: Progress) -> Graph:
    _require_static(model)
    path = bundle / f"{stem}.onnx"
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
    shards = sorted(shard for shard in path.parent.glob(f"{path.stem}.onnx*") if shard != path)
    return Graph(
        files=tuple(describe(bundle, file) for file in (path, *shards)),
        nodes=len(model.graph),
        inputs=_tensors(model.graph.inputs),
        outputs=_tensors(model.graph.outputs),
    )


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
