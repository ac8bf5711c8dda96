"""The sites of a graph: the nodes that read a weight which may be quantised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import onnx_ir as ir

from turbo_webnn.export.passes.editing import has_sole_use, is_weight, operand, weight_of
from turbo_webnn.export.quantize.grid import BLOCKS, Grid
from turbo_webnn.export.weights import LazyWeight

SMALLEST = 1024
"""The fewest numbers of a weight that is quantised: smaller weights save less than the additional nodes cost."""

_WEIGHT_INPUT = {"MatMul": 1, "Gemm": 1, "Conv": 1, "Gather": 0}


@dataclass(frozen=True)
class Site:
    """A node and its weight.

    Attributes:
        rows: the weight as [rows, summed, ...]. A row gives one output of a product, or is one row of a table.
    """

    node: ir.Node
    rows: LazyWeight

    @property
    def value(self) -> ir.Value:
        """The initializer that the node reads."""
        return operand(self.node, self.index)

    @property
    def index(self) -> int:
        """The index of the weight in the node's inputs."""
        return _WEIGHT_INPUT[self.node.op_type]

    @property
    def name(self) -> str:
        """The name of the weight in a recipe: the parameter's name in the checkpoint's module."""
        return str(self.rows.name)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape of `rows`."""
        return tuple(self.rows.shape.numpy())

    def nbytes(self, grid: Grid) -> int:
        """The bytes of the weight on `grid`."""
        return grid.nbytes(self.shape, int(self.rows.dtype.itemsize))

    def grids(self, bits: int) -> list[Grid]:
        """The grids of `bits` that the weight can have, the one with the fewest bytes first.

        The weight of a MatMul has the block sizes of MatMulNBits, with an even number of blocks in a row. MatMulNBits
        pads the 4-bit zero points of a row to whole bytes, but WebNN's implementation of it does not, and LiteRT cannot
        build a graph with one block in a row. A table has no 4-bit grids, because its rows are gathered as integers.
        """
        summed = self.shape[1]
        if self.node.op_type == "MatMul":
            blocked = [Grid(bits, block) for block in BLOCKS if summed % (2 * block) == 0]
        elif bits == 4 and self.node.op_type != "Gather":
            blocked = [Grid(bits, block) for block in BLOCKS if summed % block == 0]
        else:
            blocked = []
        return blocked or ([Grid(8)] if bits == 8 else [])


def sites(graph: ir.Graph) -> Iterator[Site]:
    """Every weight of at least `SMALLEST` numbers that exactly one MatMul, Gemm, Conv or Gather reads, in order."""
    for node in graph:
        index = _WEIGHT_INPUT.get(node.op_type)
        if index is None or not is_weight(node.inputs[index]) or not has_sole_use(operand(node, index)):
            continue
        rows = _rows(node, weight_of(operand(node, index)))
        if rows is not None and rows.in_order and rows.size >= SMALLEST:
            yield Site(node, rows)


def _rows(node: ir.Node, weight: LazyWeight) -> LazyWeight | None:
    """`weight` as [rows, summed, ...], or None if it is not a matrix, a filter or a table."""
    rank = len(weight.shape)
    if node.op_type == "MatMul":
        return weight.permuted([1, 0]) if rank == 2 else None
    if node.op_type == "Gemm":
        return weight if node.attributes.get_int("transB", 0) else None
    if node.op_type == "Conv":
        return weight if node.attributes.get_int("group", 1) == 1 else None
    return weight if rank == 2 and node.attributes.get_int("axis", 0) == 0 else None
