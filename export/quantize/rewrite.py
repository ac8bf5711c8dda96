"""Weights become integers with scales: MatMul turns into MatMulNBits, the rest reads a DequantizeLinear.

A table in which ids look rows up stays one: rows and their scales are gathered, then multiplied, so that no run
turns back the whole of it. Left alone: weights for which no grid is given, and those of the grid that keeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir

from turbo_webnn.export.passes.conditions import ensure
from turbo_webnn.export.passes.editing import add_initializer, operand, replace
from turbo_webnn.export.quantize.fit import Energies
from turbo_webnn.export.quantize.grid import Grid, Method
from turbo_webnn.export.quantize.packed import QuantizedWeight
from turbo_webnn.export.quantize.sites import Site, sites
from turbo_webnn.models.precision import Form

OPSET = 21
"""The first in which DequantizeLinear has blocks and 4 bits. In our operators it adds types to 20, no more."""


class QuantizeWeights(ir.passes.InPlacePass):
    """See the module."""

    def __init__(
        self,
        grids: Mapping[str, Grid],
        form: Form = "qdq",
        method: Method = "search",
        energies: Energies | None = None,
    ) -> None:
        self._grids, self._form, self._method, self._energies = grids, form, method, energies or {}

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Quantise each weight that a grid is given for."""
        found = [(site, self._grids.get(site.name)) for site in sites(model.graph)]
        for site, grid in found:
            if grid is None or grid.kept:
                continue
            model.graph.opset_imports[""] = OPSET
            weight = QuantizedWeight(site.rows, grid, self._method, self._energies.get(site.name))
            before = str(site.value.name)
            if site.node.op_type == "Gather":
                _gather_rows(model.graph, site, weight)
            elif site.node.op_type == "MatMul" and self._form == "nbits" and grid.block is not None:
                model.graph.opset_imports["com.microsoft"] = 1
                _multiply_by_codes(model.graph, site, weight)
            else:
                _dequantize(model.graph, site, weight)
            del model.graph.initializers[before]
        return ir.passes.PassResult(model, modified=any(grid is not None and not grid.kept for _, grid in found))

    def ensures(self, model: ir.Model) -> None:
        """No weight that gets a grid is read as it was."""
        left = [site.name for site in sites(model.graph)]
        graded = (name for name in left if name in self._grids and not self._grids[name].kept)
        ensure(model, (f"{name} is not quantised" for name in graded))


def _dequantize(graph: ir.Graph, site: Site, weight: QuantizedWeight) -> None:
    """DequantizeLinear of the weight as it lies in the graph, right before its node."""
    turned, grid = site.node.op_type == "MatMul", weight.grid
    tensors = [weight.codes(transposed=turned), weight.scales(transposed=turned)]
    tensors += [weight.zeros(transposed=turned)] if grid.has_zeros else []
    rows_axis, summed_axis = (1, 0) if turned else (0, 1)
    scaled = {"axis": rows_axis} if grid.block is None else {"axis": summed_axis, "block_size": grid.block}
    initializers = [_initializer(graph, tensor) for tensor in tensors]
    whole = _before(site, "DequantizeLinear", initializers, scaled, weight.dtype, site.value.shape)
    site.node.replace_input_with(site.index, whole)


def _multiply_by_codes(graph: ir.Graph, site: Site, weight: QuantizedWeight) -> None:
    """com.microsoft.MatMulNBits, which WebNN takes apart into DequantizeLinear, Transpose and MatMul."""
    tensors = [weight.unsigned_codes(), weight.scales()]
    tensors += [weight.unsigned_zeros()] if weight.grid.has_zeros else []
    count, summed = weight.shape
    attributes = {"K": summed, "N": count, "bits": weight.grid.bits, "block_size": weight.grid.block}
    inputs = [operand(site.node, 0), *(_initializer(graph, tensor) for tensor in tensors)]
    product = ir.node("MatMulNBits", inputs, attributes, domain="com.microsoft", name=site.node.name)
    replace(site.node, product)


def _gather_rows(graph: ir.Graph, site: Site, weight: QuantizedWeight) -> None:
    """The codes of the rows that are looked up, as floats, times their scales."""
    ids = operand(site.node, 1)
    assert ids.shape is not None
    rows_shape, scales_shape = site.node.outputs[0].shape, ir.Shape([*ids.shape, 1])
    tables = [_initializer(graph, tensor) for tensor in (weight.codes(), weight.scale_column())]
    codes = _before(site, "Gather", [tables[0], ids], {"axis": 0}, ir.DataType.INT8, rows_shape)
    numbers = _before(site, "Cast", [codes], {"to": weight.dtype}, weight.dtype, rows_shape)
    scales = _before(site, "Gather", [tables[1], ids], {"axis": 0}, weight.dtype, scales_shape)
    replace(site.node, ir.node("Mul", [numbers, scales], name=site.node.name))


def _initializer(graph: ir.Graph, tensor: ir.TensorProtocol) -> ir.Value:
    return add_initializer(graph, str(tensor.name), tensor)


def _before(
    site: Site,
    operator: str,
    inputs: Sequence[ir.Value],
    attributes: Mapping[str, Any],
    dtype: ir.DataType,
    shape: ir.Shape | None,
) -> ir.Value:
    """The output of a new node right before the site's."""
    node = ir.node(operator, inputs, attributes, name=f"{inputs[0].name}/{operator}")
    output = node.outputs[0]
    output.name, output.dtype, output.shape = f"{inputs[0].name}.{operator.lower()}", dtype, shape
    graph = site.node.graph
    assert graph is not None
    graph.insert_before(site.node, node)
    return output
