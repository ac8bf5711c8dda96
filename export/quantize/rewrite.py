"""Replaces weights by integers with scales: MatMul becomes MatMulNBits, other nodes read a DequantizeLinear.

A table that a Gather reads is not dequantised completely in each run: the rows and their scales are gathered, then
multiplied. Left alone: weights without a grid, and weights whose grid is `KEPT`.
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
"""The first opset where DequantizeLinear has blocks and 4 bits. For the other operators of our graphs it only adds
types to opset 20."""


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
        """Quantise each weight that has a grid."""
        sites_with_grids = [(site, self._grids.get(site.name)) for site in sites(model.graph)]
        for site, grid in sites_with_grids:
            if grid is None or grid.kept:
                continue
            model.graph.opset_imports[""] = OPSET
            weight = QuantizedWeight(site.rows, grid, self._method, self._energies.get(site.name))
            float_name = str(site.value.name)
            if site.node.op_type == "Gather":
                _gather_rows(model.graph, site, weight)
            elif site.node.op_type == "MatMul" and self._form == "nbits" and grid.block is not None:
                model.graph.opset_imports["com.microsoft"] = 1
                _multiply_by_codes(model.graph, site, weight)
            else:
                _dequantize(model.graph, site, weight)
            del model.graph.initializers[float_name]
        modified = any(grid is not None and not grid.kept for _, grid in sites_with_grids)
        return ir.passes.PassResult(model, modified)

    def ensures(self, model: ir.Model) -> None:
        """No weight that has a grid to quantise it is left in float."""
        names = [site.name for site in sites(model.graph)]
        unquantized = (name for name in names if name in self._grids and not self._grids[name].kept)
        ensure(model, (f"{name} is not quantised" for name in unquantized))


def _dequantize(graph: ir.Graph, site: Site, weight: QuantizedWeight) -> None:
    """Insert a DequantizeLinear before the site's node, which reads its output in place of the weight."""
    transposed, grid = site.node.op_type == "MatMul", weight.grid
    tensors = [weight.codes(transposed=transposed), weight.scales(transposed=transposed)]
    tensors += [weight.zeros(transposed=transposed)] if grid.has_zeros else []
    rows_axis, summed_axis = (1, 0) if transposed else (0, 1)
    attributes = {"axis": rows_axis} if grid.block is None else {"axis": summed_axis, "block_size": grid.block}
    initializers = [_initializer(graph, tensor) for tensor in tensors]
    dequantized = _insert_before(site, "DequantizeLinear", initializers, attributes, weight.dtype, site.value.shape)
    site.node.replace_input_with(site.index, dequantized)


def _multiply_by_codes(graph: ir.Graph, site: Site, weight: QuantizedWeight) -> None:
    """Replace MatMul by com.microsoft.MatMulNBits, which WebNN computes as DequantizeLinear, Transpose and MatMul."""
    tensors = [weight.unsigned_codes(), weight.scales()]
    tensors += [weight.unsigned_zeros()] if weight.grid.has_zeros else []
    count, summed = weight.shape
    attributes = {"K": summed, "N": count, "bits": weight.grid.bits, "block_size": weight.grid.block}
    inputs = [operand(site.node, 0), *(_initializer(graph, tensor) for tensor in tensors)]
    product = ir.node("MatMulNBits", inputs, attributes, domain="com.microsoft", name=site.node.name)
    replace(site.node, product)


def _gather_rows(graph: ir.Graph, site: Site, weight: QuantizedWeight) -> None:
    """Replace Gather: gather the codes and the scales of the rows, cast the codes to float, and multiply them."""
    ids = operand(site.node, 1)
    assert ids.shape is not None
    rows_shape, scales_shape = site.node.outputs[0].shape, ir.Shape([*ids.shape, 1])
    tables = [_initializer(graph, tensor) for tensor in (weight.codes(), weight.scale_column())]
    codes = _insert_before(site, "Gather", [tables[0], ids], {"axis": 0}, ir.DataType.INT8, rows_shape)
    numbers = _insert_before(site, "Cast", [codes], {"to": weight.dtype}, weight.dtype, rows_shape)
    scales = _insert_before(site, "Gather", [tables[1], ids], {"axis": 0}, weight.dtype, scales_shape)
    replace(site.node, ir.node("Mul", [numbers, scales], name=site.node.name))


def _initializer(graph: ir.Graph, tensor: ir.TensorProtocol) -> ir.Value:
    return add_initializer(graph, str(tensor.name), tensor)


def _insert_before(
    site: Site,
    operator: str,
    inputs: Sequence[ir.Value],
    attributes: Mapping[str, Any],
    dtype: ir.DataType,
    shape: ir.Shape | None,
) -> ir.Value:
    """Insert a new node before the site's node; return its output."""
    node = ir.node(operator, inputs, attributes, name=f"{inputs[0].name}/{operator}")
    output = node.outputs[0]
    output.name, output.dtype, output.shape = f"{inputs[0].name}.{operator.lower()}", dtype, shape
    graph = site.node.graph
    assert graph is not None
    graph.insert_before(site.node, node)
    return output
