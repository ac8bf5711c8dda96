"""Fuse attention into one node of onnxruntime when a graph is loaded. The file on disk keeps the form for WebNN.

onnxruntime's optimiser recognises the attention of other exporters, which compute masks and shapes in the graph. It
does not recognise ours. Its attention operator never writes the scores to memory (flash attention where the device
has it). Specification: com.microsoft.MultiHeadAttention in onnxruntime's contrib operators.

This module works on protobuf, not onnx-ir: the conversion to onnx-ir and back takes eight times as long, and copies
the weights inside the file once more.
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


def fuse_file(path: Path) -> bytes:
    """Read the graph at `path` and fuse its attention.

    The external data stay in their files.

    Returns:
        The fused graph, as a file holds it.

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
    serialized: bytes = model.SerializeToString()
    return serialized


def fuse_attention(model: ModelProto) -> int:
    """Fuse every unmasked attention of `model` in place.

    Attention stays as it is where it masks or scales its scores, does not split heads, or has an intermediate value
    with another reader.

    Returns:
        The number of fused attentions.
    """
    import onnx

    graph = _Graph(model)
    replaced: set[str] = set()
    fused_nodes: dict[str, NodeProto] = {}
    for softmax in model.graph.node:
        attention = graph.match_attention(softmax) if softmax.op_type == "Softmax" else None
        if attention is not None:
            (output,) = attention.nodes[-1].output
            replaced.update(node.output[0] for node in attention.nodes)
            fused_nodes[output] = onnx.helper.make_node(
                "MultiHeadAttention",
                [attention.query, attention.key, attention.value],
                [output],
                name=softmax.name,
                domain="com.microsoft",
                num_heads=attention.heads,
                scale=1.0,  # the weights contain the scale
            )
    nodes = [fused_nodes.get(node.output[0], node) for node in model.graph.node]
    remaining = [node for node in nodes if node.output[0] not in replaced or node.output[0] in fused_nodes]
    del model.graph.node[:]
    model.graph.node.extend(remaining)
    if fused_nodes:
        model.opset_import.add(domain="com.microsoft", version=1)
    return len(fused_nodes)


@dataclass(frozen=True)
class _HeadSplit:
    """A value [batch, tokens, heads·width] that two nodes split into heads."""

    nodes: list[NodeProto]
    source: str
    heads: int


@dataclass(frozen=True)
class _Attention:
    """The inputs of one attention, and its nodes. The last node produces its output."""

    query: str
    key: str
    value: str
    heads: int
    nodes: list[NodeProto]


class _Graph:
    """The producers, the readers and the shapes of values, by name."""

    def __init__(self, model: ModelProto) -> None:
        graph = model.graph
        self._producers = {name: node for node in graph.node for name in node.output}
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

    def match_attention(self, softmax: NodeProto) -> _Attention | None:
        """Find the attention around `softmax`; None where it cannot be fused."""
        scores = self._producer(softmax.input[0], "MatMul")
        weighted = self._reader(softmax.output[0], "MatMul")
        if scores is None or weighted is None or weighted.input[0] != softmax.output[0] or not _is_over_last(softmax):
            return None
        query = self._match_split(scores.input[0], _HEADS_FIRST)
        key = self._match_split(scores.input[1], _KEYS)
        value = self._match_split(weighted.input[1], _HEADS_FIRST)
        transpose = self._reader(weighted.output[0], "Transpose")
        if query is None or key is None or value is None or transpose is None or _perm(transpose) != _HEADS_FIRST:
            return None
        reshape = self._reader(transpose.output[0], "Reshape")
        if reshape is None or self._shapes.get(reshape.output[0]) != self._shapes.get(query.source):
            return None
        nodes = [*query.nodes, *key.nodes, *value.nodes, scores, softmax, weighted, transpose, reshape]
        return _Attention(query.source, key.source, value.source, query.heads, nodes)

    def _match_split(self, value: str, perm: list[int]) -> _HeadSplit | None:
        transpose = self._producer(value, "Transpose")
        reshape = transpose and self._producer(transpose.input[0], "Reshape")
        if transpose is None or reshape is None or _perm(transpose) != perm:
            return None
        source, split = self._shapes.get(reshape.input[0], []), self._shapes.get(reshape.output[0], [])
        if len(source) != 3 or len(split) != 4 or source != [*split[:2], split[2] * split[3]]:
            return None
        return _HeadSplit([reshape, transpose], reshape.input[0], split[2])

    def _producer(self, value: str, operator: str) -> NodeProto | None:
        """The node that produces `value`; None where it has another operator, or `value` has not exactly one reader."""
        node = self._producers.get(value)
        return node if node is not None and node.op_type == operator and len(self._readers[value]) == 1 else None

    def _reader(self, value: str, operator: str) -> NodeProto | None:
        """The only node that reads `value`; None where there are others, or it has another operator."""
        first, *others = self._readers[value] or [None]
        return first if first is not None and not others and first.op_type == operator else None


def _perm(node: NodeProto) -> list[int]:
    return next((list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"), [])


def _is_over_last(node: NodeProto) -> bool:
    return all(attribute.i in (-1, 3) for attribute in node.attribute if attribute.name == "axis")
