"""A graph too large for one WebNN context becomes a chain of graphs, cut where little passes.

Some browsers build no graph of more than half a gigabyte of weights, and a phone holds no more at a time. The nodes
keep their order, and each link takes the next of them. Of all ways to cut into the fewest links of about equal
weight, the one is taken through whose cuts the fewest bytes pass. Weights are counted, not read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import count, pairwise

import onnx_ir as ir

from turbo_webnn.export.passes.editing import shape_of
from turbo_webnn.models.errors import RequestError

UNEVEN = 1.15
"""How much heavier than the mean a link may be for the sake of a better cut."""

_AVOIDED_BYTES = 1 << 40
"""What a crossing value counts that is of another type than the boundary's: not every back end takes it as input."""

Cost = tuple[int, int]
"""Bytes that cross, then the sum of the links' squared weights: of equal cuts the even ones are better."""


def split(model: ir.Model, limit: int | None) -> list[ir.Model]:
    """`model` as a chain of graphs with at most `limit` bytes of weights each; itself alone where it has no more.

    A link's inputs are the model's inputs that it reads and what it reads of earlier links; its outputs are what
    later links read and outputs of the model. Names stay. A weight that two links read is in both.

    Raises:
        RequestError: where a single node reads more than `limit` bytes.
    """
    nodes = list(model.graph)
    if limit is None or _weight_after(nodes)[0] <= limit:
        return [model]
    bounds = [0, *_best_cuts(nodes, limit, _crossing(model.graph)), len(nodes)]
    return [_link(model, nodes[start:stop]) for start, stop in pairwise(bounds)]


def _best_cuts(nodes: Sequence[ir.Node], limit: int, crossing: Sequence[int]) -> list[int]:
    """The positions before which to cut, for as few links as there can be."""
    _require_each_fits(nodes, limit)
    total = _weight_after(nodes)[0]
    for links in count(math.ceil(total / limit)):
        for bound in (min(limit, int(UNEVEN * total / links)), limit):
            cuts = _cheapest_cuts(nodes, links, bound, crossing)
            if cuts is not None:
                return cuts
    raise AssertionError("one node a link always fits")


def _cheapest_cuts(nodes: Sequence[ir.Node], links: int, bound: int, crossing: Sequence[int]) -> list[int] | None:
    """The best cuts into `links` of at most `bound` bytes each, or None where there are none."""
    after, weights = _weight_after(nodes), [_weights(node) for node in nodes]
    reached: dict[int, tuple[Cost, list[int]]] = {0: ((0, 0), [])}  # by position, for as many links as were laid
    for left in reversed(range(links)):
        further: dict[int, tuple[Cost, list[int]]] = {}
        for start, ((crossed, squares), cuts) in reached.items():
            for stop, weight in _stops(weights, start, bound):
                if after[stop] > left * bound:
                    continue  # too little is laid for the rest to fit
                cost = (crossed + crossing[stop], squares + weight**2)
                if stop not in further or cost < further[stop][0]:
                    further[stop] = (cost, [*cuts, stop])
        reached = further
    return reached[len(nodes)][1][:-1] if len(nodes) in reached else None


def _stops(weights: Sequence[set[ir.Value]], start: int, bound: int) -> Iterator[tuple[int, int]]:
    """Where a link from node `start` may end so that it has at most `bound` bytes, and how many it has then."""
    held: set[ir.Value] = set()
    weight = 0
    for stop in range(start, len(weights)):
        if not weights[stop] <= held:
            weight += sum(map(_nbytes, weights[stop] - held))
            held |= weights[stop]
        if weight > bound:
            return
        yield stop + 1, weight


def _crossing(graph: ir.Graph) -> list[int]:
    """For each position, the bytes that nodes before it make and nodes from there on read."""
    position = {node: index for index, node in enumerate(graph)}
    boundary = {value.dtype for value in (*graph.inputs, *graph.outputs)}
    crossing = [0] * (len(position) + 1)
    for made, node in enumerate(graph):
        for value in node.outputs:
            last = max((position[reader] for reader in value.consumers()), default=made)
            for index in range(made + 1, last + 1):
                crossing[index] += _passing_bytes(value, boundary)
    return crossing


def _passing_bytes(value: ir.Value, boundary: set[ir.DataType | None]) -> int:
    shape, dtype = shape_of(value), value.dtype
    assert shape is not None
    assert dtype is not None
    avoided = dtype not in boundary or not dtype.is_floating_point()
    return int(math.prod(shape) * dtype.itemsize) + avoided * _AVOIDED_BYTES


def _weights(node: ir.Node) -> set[ir.Value]:
    return {value for value in node.inputs if value is not None and value.is_initializer()}


def _nbytes(weight: ir.Value) -> int:
    assert weight.const_value is not None
    return weight.const_value.nbytes


def _weight_after(nodes: Sequence[ir.Node]) -> list[int]:
    """For each position, the bytes of weights that the nodes from there on read; what two read counts once."""
    held: set[ir.Value] = set()
    weights = [0]
    for node in reversed(nodes):
        new = _weights(node) - held
        held |= new
        weights.append(weights[-1] + sum(map(_nbytes, new)))
    return weights[::-1]


def _require_each_fits(nodes: Sequence[ir.Node], limit: int) -> None:
    for node in nodes:
        weight = sum(map(_nbytes, _weights(node)))
        if weight > limit:
            raise RequestError(
                f"{node.name} alone reads {weight} bytes of weights, more than --max-graph-bytes {limit}",
                f"give {weight} or more",
            )


def _link(model: ir.Model, nodes: Sequence[ir.Node]) -> ir.Model:
    """A model of copies of `nodes`, which share their weights with it."""
    # onnx-ir's `extract` takes initializers from a set: their order, and so the file's bytes, would differ each time
    inside = set(nodes)
    read = dict.fromkeys(value for node in nodes for value in node.inputs if value is not None)
    outer = [value for value in read if value.producer() not in inside]
    view = ir.GraphView(
        inputs=[value for value in outer if not value.is_initializer()],
        outputs=[value for node in nodes for value in node.outputs if _is_wanted(value, inside)],
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


def _is_wanted(value: ir.Value, inside: set[ir.Node]) -> bool:
    return value.is_graph_output() or not inside.issuperset(value.consumers())
