"""Attention as one node of onnxruntime's own, fused when a graph is loaded: what lies on disk stays as WebNN takes it.

onnxruntime's optimiser knows attention by the forms of other exporters, with masks and shapes computed in the graph,
and leaves ours as it is. Its operator never writes the scores to memory (flash attention where the device has it).
Specification: com.microsoft.MultiHeadAttention in onnxruntime's contrib operators.

On protobuf, not onnx-ir: a graph goes to onnx-ir and back in eight times the time, and weights inside its file are
copied once more.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from turbo_webnn.models.errors import RequestError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_HEADS_FIRST = [0, 2, 1, 3]  # [batch, tokens, heads, width] to [batch, heads, tokens, width], and back
_KEYS = [0, 2, 3, 1]  # [batch, tokens, heads, width] to [batch, heads, width, tokens]


def fused(path: Path) -> bytes:
    """The graph at `path` with its attention fused; its external data stay where they are.

    Raises:
        RequestError: where the package onnx is not installed, or the file is no graph.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError  # onnx brings it
    except ImportError as error:
        right = "pip install onnx, or run with --no-fuse"
        raise RequestError("the package onnx, which fuses graphs as they load, is missing", right) from error
    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError as error:
        raise RequestError(f"{path} does not load ({error})", "export the bundle anew") from error
    fuse_attention(model)
    made: bytes = model.SerializeToString()
    return made


def fuse_attention(model: ModelProto) -> int:
    """Fuse every unmasked attention of `model` in place; return how many there were.

    Left alone: what adds a mask to its scores, scales them, splits off no heads, or is read elsewhere in between.
    """
    import onnx

    graph = _Graph(model)
    dropped: set[str] = set()
    fused_at: dict[str, NodeProto] = {}
    for softmax in model.graph.node:
        found = graph.attention(softmax) if softmax.op_type == "Softmax" else None
        if found is not None:
            (output,) = found.nodes[-1].output
            dropped.update(node.output[0] for node in found.nodes)
            fused_at[output] = onnx.helper.make_node(
                "MultiHeadAttention",
                [found.query, found.key, found.value],
                [output],
                name=softmax.name,
                domain="com.microsoft",
                num_heads=found.heads,
                scale=1.0,  # the weights hold it
            )
    nodes = [fused_at.get(node.output[0], node) for node in model.graph.node]
    kept = [node for node in nodes if node.output[0] not in dropped or node.output[0] in fused_at]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    if fused_at:
        model.opset_import.add(domain="com.microsoft", version=1)
    return len(fused_at)


@dataclass(frozen=True)
class _Split:
    """A value [batch, tokens, heads·width] that two nodes split into heads."""

    nodes: list[NodeProto]
    whole: str
    heads: int


@dataclass(frozen=True)
class _Attention:
    """What one attention reads, and its nodes, the last of which gives its output."""

    query: str
    key: str
    value: str
    heads: int
    nodes: list[NodeProto]


class _Graph:
    """Who gives a value, who reads it, and its shape, by name."""

    def __init__(self, model: ModelProto) -> None:
        graph = model.graph
        self._giver = {name: node for node in graph.node for name in node.output}
        self._readers: dict[str, list[NodeProto | None]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self._readers[name].append(node)
        for output in graph.output:
            self._readers[output.name].append(None)
        self._shapes = {
            value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in (*graph.input, *graph.value_info, *graph.output)
        }

    def attention(self, softmax: NodeProto) -> _Attention | None:
        """The attention whose weights `softmax` makes, where it is one that can be fused."""
        scores = self._given(softmax.input[0], "MatMul")
        weighted = self._read(softmax.output[0], "MatMul")
        if scores is None or weighted is None or weighted.input[0] != softmax.output[0] or not _over_last(softmax):
            return None
        query = self._split(scores.input[0], _HEADS_FIRST)
        key = self._split(scores.input[1], _KEYS)
        value = self._split(weighted.input[1], _HEADS_FIRST)
        joined = self._read(weighted.output[0], "Transpose")
        if query is None or key is None or value is None or joined is None or _perm(joined) != _HEADS_FIRST:
            return None
        last = self._read(joined.output[0], "Reshape")
        if last is None or self._shapes.get(last.output[0]) != self._shapes.get(query.whole):
            return None
        nodes = [*query.nodes, *key.nodes, *value.nodes, scores, softmax, weighted, joined, last]
        return _Attention(query.whole, key.whole, value.whole, query.heads, nodes)

    def _split(self, value: str, perm: list[int]) -> _Split | None:
        transposed = self._given(value, "Transpose")
        reshaped = transposed and self._given(transposed.input[0], "Reshape")
        if transposed is None or reshaped is None or _perm(transposed) != perm:
            return None
        whole, split = self._shapes.get(reshaped.input[0], []), self._shapes.get(reshaped.output[0], [])
        if len(whole) != 3 or len(split) != 4 or whole != [*split[:2], split[2] * split[3]]:
            return None
        return _Split([reshaped, transposed], reshaped.input[0], split[2])

    def _given(self, value: str, kind: str) -> NodeProto | None:
        """The `kind` of node that gives `value` to one reader alone."""
        giver = self._giver.get(value)
        return giver if giver is not None and giver.op_type == kind and len(self._readers[value]) == 1 else None

    def _read(self, value: str, kind: str) -> NodeProto | None:
        """The `kind` of node that alone reads `value`."""
        first, *others = self._readers[value] or [None]
        return first if first is not None and not others and first.op_type == kind else None


def _perm(node: NodeProto) -> list[int]:
    return next((list(held.ints) for held in node.attribute if held.name == "perm"), [])


def _over_last(node: NodeProto) -> bool:
    return all(held.i in (-1, 3) for held in node.attribute if held.name == "axis")
