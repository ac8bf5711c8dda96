"""Where a graph multiplies or looks up a weight that may be quantised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import onnx_ir as ir

from turbo_webnn.export.passes.editing import is_weight, operand, sole_use, weight_of
from turbo_webnn.export.quantize.grid import BLOCKS, Grid
from turbo_webnn.export.weights import LazyWeight

SMALLEST = 1024
"""Numbers: a weight of fewer is not worth the nodes."""

_WEIGHT_INPUT = {"MatMul": 1, "Gemm": 1, "Conv": 1, "Gather": 0}


@dataclass(frozen=True)
class Site:
    """A node and its weight.

    Attributes:
        rows: the weight as [rows, summed, ...]: what one output, or one row of a table, is made of comes first.
    """

    node: ir.Node
    rows: LazyWeight

    @property
    def value(self) -> ir.Value:
        """The initializer that the node reads."""
        return operand(self.node, self.index)

    @property
    def index(self) -> int:
        """Which of the node's inputs it is."""
        return _WEIGHT_INPUT[self.node.op_type]

    @property
    def name(self) -> str:
        """What a recipe calls the weight: the parameter's name in the checkpoint's module."""
        return str(self.rows.name)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Of `rows`."""
        return tuple(self.rows.shape.numpy())

    def nbytes(self, grid: Grid) -> int:
        """What the weight takes on `grid`."""
        return grid.nbytes(self.shape, int(self.rows.dtype.itemsize))

    def grids(self, bits: int) -> list[Grid]:
        """The grids of `bits` that the weight can be on, the leanest first.

        A product's blocks are those of MatMulNBits, evenly many in a row: MatMulNBits pads the 4-bit zero points of
        a row to whole bytes, and WebNN's reading of it does not; of one block in a row LiteRT builds nothing. A table
        has no 4 bits: its rows are gathered as integers.
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
    """Every weight of `SMALLEST` numbers or more that one MatMul, Gemm, Conv or Gather reads, in order."""
    for node in graph:
        index = _WEIGHT_INPUT.get(node.op_type)
        if index is None or not is_weight(node.inputs[index]) or not sole_use(operand(node, index)):
            continue
        rows = _rows(node, weight_of(operand(node, index)))
        if rows is not None and rows.in_order and rows.size >= SMALLEST:
            yield Site(node, rows)


def _rows(node: ir.Node, weight: LazyWeight) -> LazyWeight | None:
    """`weight` as [rows, summed, ...], or None where it is another thing than a matrix, a filter or a table."""
    rank = len(weight.shape)
    if node.op_type == "MatMul":
        return weight.permuted([1, 0]) if rank == 2 else None
    if node.op_type == "Gemm":
        return weight if node.attributes.get_int("transB", 0) else None
    if node.op_type == "Conv":
        return weight if node.attributes.get_int("group", 1) == 1 else None
    return weight if rank == 2 and node.attributes.get_int("axis", 0) == 0 else None
