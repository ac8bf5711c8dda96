"""A finished graph onto disk: the .onnx file, and its weights beside it in shards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx_ir as ir

from models.bundle import Graph, Tensor, describe

SHARD_BYTES = 1_900_000_000
"""The newest WebNN samples' limit: browsers cap an ArrayBuffer just under 2 GiB."""

INLINE_BYTES = 1024
"""Initializers up to this size stay in the .onnx file: shape-like inputs must be read with the graph."""

_IN_FLIGHT_BYTES = 96 << 20

Progress = Callable[[float], None]
"""Told the fraction of weights written, 0 to 1."""


def write_graph(model: ir.Model, bundle: Path, name: str, progress: Progress) -> Graph:
    """Write `model` to `name/model.onnx` in the folder `bundle`; return its entry in the manifest.

    The same model gives the same bytes. Weights are made as they are written, a tensor at a time.

    Raises:
        RequestError: where a weight cannot be written (NaN, Inf, out of float16's range).
    """
    _require_static(model)
    folder = bundle / name
    folder.mkdir(parents=True)
    ir.save(
        model,
        folder / "model.onnx",
        external_data="model.onnx.data",
        size_threshold_bytes=INLINE_BYTES,
        max_shard_size_bytes=SHARD_BYTES,
        callback=lambda _tensor, info: progress((info.index + 1) / info.total),
        max_workers=2,
        max_in_flight_bytes=_IN_FLIGHT_BYTES,
    )
    paths = sorted(folder.iterdir(), key=lambda path: (path.suffix != ".onnx", path.name))
    return Graph(
        files=tuple(describe(bundle, path) for path in paths),
        nodes=len(model.graph),
        inputs=tuple(_tensor(value) for value in model.graph.inputs),
        outputs=tuple(_tensor(value) for value in model.graph.outputs),
    )


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
