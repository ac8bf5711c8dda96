"""Splits a graph that is too large for one WebNN context into a chain of graphs.

Some browsers build no graph with more than half a gigabyte of weights, and a phone has no memory for more at a time.
The nodes keep their order. Each graph of the chain, a link, takes the next nodes. The split has the fewest links, of
about equal weight. Of all such splits it is the one where the fewest bytes cross the cuts. Weights are counted, not
read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import count, pairwise

import onnx_ir as ir

from turbo_webnn.export.passes.editing import shape_of
from turbo_webnn.models.errors import RequestError

UNEVEN = 1.15
"""How many times the mean weight a link may have, if that gives a better cut."""

_AVOIDED_BYTES = 1 << 40
"""The cost of a crossing value whose type is not a float type of the boundary: some back ends refuse it as input."""

Cost = tuple[int, int]
"""The bytes that cross, then the sum of the links' squared weights. Of cuts with equal bytes, even ones are better."""


def split_graph(model: ir.Model, limit: int | None) -> list[ir.Model]:
    """Split `model` into a chain of graphs with at most `limit` bytes of weights each.

    A link has as inputs the inputs of the model and the values of earlier links that it reads. It has as outputs the
    outputs of the model that it computes and the values that later links read. Names do not change. A weight that two
    links read is in both.

    Returns:
        The links, or `model` alone if it has no more than `limit` bytes.

    Raises:
        RequestError: if a single node reads more than `limit` bytes.
    """
    nodes = list(model.graph)
    if limit is None or _weight_bytes_after(nodes)[0] <= limit:
        return [model]
    bounds = [0, *_best_cuts(nodes, limit, _crossing_bytes(model.graph)), len(nodes)]
    return [_make_link(model, nodes[start:stop]) for start, stop in pairwise(bounds)]


def _best_cuts(nodes: Sequence[ir.Node], limit: int, crossing: Sequence[int]) -> list[int]:
    """The positions before which to cut, for the fewest links."""
    _require_each_fits(nodes, limit)
    total = _weight_bytes_after(nodes)[0]
    for links in count(math.ceil(total / limit)):
        for bound in (min(limit, int(UNEVEN * total / links)), limit):
            cuts = _cheapest_cuts(nodes, links, bound, crossing)
            if cuts is not None:
                return cuts
    raise AssertionError("one node a link always fits")


def _cheapest_cuts(nodes: Sequence[ir.Node], links: int, bound: int, crossing: Sequence[int]) -> list[int] | None:
    """The best cuts into `links` links of at most `bound` bytes each, or None if no such cuts exist."""
    after, weights = _weight_bytes_after(nodes), [_weights_of(node) for node in nodes]
    reached: dict[int, tuple[Cost, list[int]]] = {0: ((0, 0), [])}  # best cuts by end position, for the links so far
    for links_left in reversed(range(links)):
        extended: dict[int, tuple[Cost, list[int]]] = {}
        for start, ((crossed, squares), cuts) in reached.items():
            for stop, weight in _link_ends(weights, start, bound):
                if after[stop] > links_left * bound:
                    continue  # the remaining nodes do not fit into the remaining links
                cost = (crossed + crossing[stop], squares + weight**2)
                if stop not in extended or cost < extended[stop][0]:
                    extended[stop] = (cost, [*cuts, stop])
        reached = extended
    return reached[len(nodes)][1][:-1] if len(nodes) in reached else None


def _link_ends(weights: Sequence[set[ir.Value]], start: int, bound: int) -> Iterator[tuple[int, int]]:
    """The positions where a link from node `start` may end with at most `bound` bytes, each with the link's bytes."""
    counted: set[ir.Value] = set()
    weight = 0
    for stop in range(start, len(weights)):
        if not weights[stop] <= counted:
            weight += sum(map(_nbytes, weights[stop] - counted))
            counted |= weights[stop]
        if weight > bound:
            return
        yield stop + 1, weight


def _crossing_bytes(graph: ir.Graph) -> list[int]:
    """For each position, the bytes of values that a node before it computes and a node at or after it reads."""
    position = {node: index for index, node in enumerate(graph)}
    boundary = {value.dtype for value in (*graph.inputs, *graph.outputs)}
    crossing = [0] * (len(position) + 1)
    for producer_index, node in enumerate(graph):
        for value in node.outputs:
            last_reader = max((position[reader] for reader in value.consumers()), default=producer_index)
            for index in range(producer_index + 1, last_reader + 1):
                crossing[index] += _passing_bytes(value, boundary)
    return crossing


def _passing_bytes(value: ir.Value, boundary: set[ir.DataType | None]) -> int:
    shape, dtype = shape_of(value), value.dtype
    assert shape is not None
    assert dtype is not None
    avoided = dtype not in boundary or not dtype.is_floating_point()
    return int(math.prod(shape) * dtype.itemsize) + avoided * _AVOIDED_BYTES


def _weights_of(node: ir.Node) -> set[ir.Value]:
    return {value for value in node.inputs if value is not None and value.is_initializer()}


def _nbytes(weight: ir.Value) -> int:
    assert weight.const_value is not None
    return weight.const_value.nbytes


def _weight_bytes_after(nodes: Sequence[ir.Node]) -> list[int]:
    """For each position, the bytes of weights that the nodes from it on read. A weight counts once."""
    counted: set[ir.Value] = set()
    weights = [0]
    for node in reversed(nodes):
        new = _weights_of(node) - counted
        counted |= new
        weights.append(weights[-1] + sum(map(_nbytes, new)))
    return weights[::-1]


def _require_each_fits(nodes: Sequence[ir.Node], limit: int) -> None:
    for node in nodes:
        weight = sum(map(_nbytes, _weights_of(node)))
        if weight > limit:
            raise RequestError(
                f"{node.name} alone reads {weight} bytes of weights, more than --max-graph-bytes {limit}",
                f"give {weight} or more",
            )


def _make_link(model: ir.Model, nodes: Sequence[ir.Node]) -> ir.Model:
    """A model with copies of `nodes`. The copies share the weights of `model`."""
    # onnx-ir's `extract` takes initializers from a set: their order, and so the file's bytes, would differ in each run
    inside = set(nodes)
    operands = dict.fromkeys(value for node in nodes for value in node.inputs if value is not None)
    outer = [value for value in operands if value.producer() not in inside]
    view = ir.GraphView(
        inputs=[value for value in outer if not value.is_initializer()],
        outputs=[value for node in nodes for value in node.outputs if _is_link_output(value, inside)],
        nodes=nodes,
        initializers=[value for value in outer if value.is_initializer()],
        opset_imports=model.graph.opset_imports,
        name=model.graph.name,
    )
    return ir.Model(
        view.clone(),
        ir_version=model.ir_version,
        producer_name=model.producer_name,
        producer_version=model.producer_version,
    )


def _is_link_output(value: ir.Value, inside: set[ir.Node]) -> bool:
    return value.is_graph_output() or not inside.issuperset(value.consumers())
