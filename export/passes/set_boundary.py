"""Gives the finished graph the inputs and outputs of its layout: other names, other types, scalars.

A Cast or a Reshape converts between the boundary and the graph. A node that casts an input casts from the boundary's
type instead, so that no value is converted to a narrower type in between. Left alone: inputs and outputs for which the
layout has no port.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from turbo_webnn.export.passes.conditions import ensure, require
from turbo_webnn.export.passes.editing import add_ints, bypass, shape_of
from turbo_webnn.models.layouts.layout import Port


class SetBoundary(ir.passes.InPlacePass):
    """See the module. `ports` are by the names that the graph has before the pass."""

    def __init__(self, ports: Mapping[str, Port]) -> None:
        super().__init__()
        self._ports = ports

    def requires(self, model: ir.Model) -> None:
        """Every input and output that has a port has a type and a static shape."""
        ends = (*model.graph.inputs, *model.graph.outputs)
        unknown = (value for value in ends if value.dtype is None or shape_of(value) is None)
        require(model, (f"{value.name} has no type or shape" for value in unknown if value.name in self._ports))

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Convert each input and output for which there is a port."""
        for values, convert in ((model.graph.inputs, _convert_input), (model.graph.outputs, _convert_output)):
            for index, value in enumerate(values):
                port = self._ports.get(str(value.name))
                if port is not None:
                    values[index] = convert(model.graph, value, port)
        return ir.passes.PassResult(model, modified=bool(self._ports))

    def ensures(self, model: ir.Model) -> None:
        """Names at the boundary are unique, and a value with the name of a port has the port's type and shape."""
        ends = [*model.graph.inputs, *model.graph.outputs]
        counts = Counter(str(value.name) for value in ends)
        ensure(model, (f"{count} values have the name {name}" for name, count in counts.items() if count > 1))
        for value in ends:
            ports = [port for port in self._ports.values() if port.name == value.name]
            if ports and not any(_fits(value, port) for port in ports):
                ensure(model, [f"{value.name} is {value.dtype} {value.shape}, which the layout has not"])


def _fits(value: ir.Value, port: Port) -> bool:
    return value.dtype == _dtype(value, port) and (not port.scalar or shape_of(value) == ())


def _convert_input(graph: ir.Graph, inner: ir.Value, port: Port) -> ir.Value:
    """Replace the input `inner` by an input of the port's name, type and shape; return the new input."""
    dtype, shape = _dtype(inner, port), ir.Shape([]) if port.scalar else inner.shape
    outer = ir.Value(name=port.name, type=ir.TensorType(dtype), shape=shape)
    value: ir.Value = outer
    nodes: list[ir.Node] = []
    if port.scalar:
        value = _append_node(
            nodes, "Reshape", [value, add_ints(graph, f"{port.name}.shape", shape_of(inner) or ())], inner, dtype
        )
    if dtype != inner.dtype:
        for reader in inner.consumers():
            if reader.op_type == "Cast":
                reader.replace_input_with(0, value)
                if reader.outputs[0].dtype == dtype:
                    bypass(reader, value)
        assert inner.dtype is not None
        if inner.uses():
            value = _append_node(nodes, "Cast", [value], inner, inner.dtype)
    ir.convenience.replace_all_uses_with(inner, value)
    if nodes:
        graph.insert_before(graph[0], nodes)
    return outer


def _convert_output(graph: ir.Graph, inner: ir.Value, port: Port) -> ir.Value:
    """The output of the port's name and type: `inner` under the new name, or the result of a Cast of `inner`."""
    dtype = _dtype(inner, port)
    if dtype == inner.dtype:
        inner.name = port.name
        return inner
    inner.name = f"{port.name}.inner"
    nodes: list[ir.Node] = []
    outer = _append_node(nodes, "Cast", [inner], inner, dtype)
    outer.name = port.name
    graph.extend(nodes)
    return outer


def _append_node(
    nodes: list[ir.Node], operator: str, operands: list[ir.Value], like: ir.Value, dtype: ir.DataType
) -> ir.Value:
    """Append a new node to `nodes`; return its output, which has the shape of `like`."""
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
