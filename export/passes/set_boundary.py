"""The finished graph takes and gives what its layout says: other names, other types, a number without a dimension.

A Cast or Reshape stands where the two meet. What cast an input already casts from the boundary's type instead, so
that nothing is narrowed on the way. Left alone: inputs and outputs for which the layout has no port.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from turbo_webnn.export.passes.conditions import ensure, require
from turbo_webnn.export.passes.editing import bypass, ints, shape_of
from turbo_webnn.models.layouts.layout import Port


class SetBoundary(ir.passes.InPlacePass):
    """See the module. `ports` are by the names that the graph has now."""

    def __init__(self, ports: Mapping[str, Port]) -> None:
        super().__init__()
        self._ports = ports

    def requires(self, model: ir.Model) -> None:
        """What a port is for has a type and a static shape."""
        ends = (*model.graph.inputs, *model.graph.outputs)
        unknown = (value for value in ends if value.dtype is None or shape_of(value) is None)
        require(model, (f"{value.name} has no type or shape" for value in unknown if value.name in self._ports))

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Set each input and output for which there is a port."""
        for values, settle in ((model.graph.inputs, _input), (model.graph.outputs, _output)):
            for index, value in enumerate(values):
                port = self._ports.get(str(value.name))
                if port is not None:
                    values[index] = settle(model.graph, value, port)
        return ir.passes.PassResult(model, modified=bool(self._ports))

    def ensures(self, model: ir.Model) -> None:
        """Names at the boundary are unique, and what bears a port's name is as some port of that name says."""
        ends = [*model.graph.inputs, *model.graph.outputs]
        counts = Counter(str(value.name) for value in ends)
        ensure(model, (f"{count} values have the name {name}" for name, count in counts.items() if count > 1))
        for value in ends:
            ports = [port for port in self._ports.values() if port.name == value.name]
            if ports and not any(_fits(value, port) for port in ports):
                ensure(model, [f"{value.name} is {value.dtype} {value.shape}, which the layout has not"])


def _fits(value: ir.Value, port: Port) -> bool:
    return value.dtype == _dtype(value, port) and (not port.scalar or shape_of(value) == ())


def _input(graph: ir.Graph, inner: ir.Value, port: Port) -> ir.Value:
    """The input that takes `inner`'s place at the boundary; `inner` becomes what is made of it."""
    dtype, shape = _dtype(inner, port), ir.Shape([]) if port.scalar else inner.shape
    outer = ir.Value(name=port.name, type=ir.TensorType(dtype), shape=shape)
    value: ir.Value = outer
    nodes: list[ir.Node] = []
    if port.scalar:
        value = _made(nodes, "Reshape", [value, ints(graph, f"{port.name}.shape", shape_of(inner) or ())], inner, dtype)
    if dtype != inner.dtype:
        for reader in inner.consumers():
            if reader.op_type == "Cast":
                reader.replace_input_with(0, value)
                if reader.outputs[0].dtype == dtype:
                    bypass(reader, value)
        assert inner.dtype is not None
        if inner.uses():
            value = _made(nodes, "Cast", [value], inner, inner.dtype)
    ir.convenience.replace_all_uses_with(inner, value)
    if nodes:
        graph.insert_before(graph[0], nodes)
    return outer


def _output(graph: ir.Graph, inner: ir.Value, port: Port) -> ir.Value:
    """The output that takes `inner`'s place: itself under the new name, or what it is cast to."""
    dtype = _dtype(inner, port)
    if dtype == inner.dtype:
        inner.name = port.name
        return inner
    inner.name = f"{port.name}.inner"
    nodes: list[ir.Node] = []
    outer = _made(nodes, "Cast", [inner], inner, dtype)
    outer.name = port.name
    graph.extend(nodes)
    return outer


def _made(
    nodes: list[ir.Node], operator: str, operands: list[ir.Value], like: ir.Value, dtype: ir.DataType
) -> ir.Value:
    """The output, shaped `like` that value, of a new node at the end of `nodes`."""
    attributes = {"to": dtype} if operator == "Cast" else {}
    name = str(operands[0].name).removesuffix(".inner")
    node = ir.node(operator, operands, attributes, name=f"{name}/{operator}")
    output = node.outputs[0]
    output.name, output.dtype, output.shape = f"{name}.{operator.lower()}", dtype, like.shape
    nodes.append(node)
    return output


def _dtype(value: ir.Value, port: Port) -> ir.DataType:
    assert value.dtype is not None
    return value.dtype if port.dtype is None else ir.DataType.from_numpy(np.dtype(port.dtype))
