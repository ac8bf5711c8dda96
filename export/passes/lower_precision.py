"""Converts a float32 graph to float16, except the parts that need float32.

These parts stay in float32, between casts:

- the angles of the time embedding: Sin and Cos, with all nodes that compute their inputs;
- InstanceNormalization, whose sums over a whole group lose precision in float16 on several WebNN back ends;
- the modules that overflow float16, with the nodes that read their results, so that no too large number is cast.

Graph inputs and outputs get the new type and keep their names. Left alone: all values that are not float32.
"""

from __future__ import annotations

import onnx_ir as ir

from turbo_webnn.export.overflows import NO_OVERFLOWS, Overflows
from turbo_webnn.export.passes.conditions import ensure, require, values_of
from turbo_webnn.export.passes.editing import is_weight, weight_of
from turbo_webnn.export.passes.places import place_of

WIDE_OPERATORS = frozenset({"InstanceNormalization"})
"""Operators that are computed in float32."""

WIDE_ANCESTRY = frozenset({"Sin", "Cos"})
"""Operators that are computed in float32 together with all nodes before them: float16 is too coarse for the angle of
timestep 999."""

CARRIERS = frozenset(
    {"Concat", "Expand", "Flatten", "Pad", "Reshape", "Resize", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
)
"""Operators whose outputs contain the numbers of their inputs unchanged."""

ALWAYS_FLOAT = frozenset({("Resize", 1), ("Resize", 2)})
"""Operators and inputs that ONNX defines as float32 for every type of data: the region and the scales of a Resize."""

_WIDE, _NARROW = ir.DataType.FLOAT, ir.DataType.FLOAT16


class LowerPrecision(ir.passes.InPlacePass):
    """See the module. A module in `overflows` stays in float32; the modules inside it do not."""

    def __init__(self, overflows: Overflows = NO_OVERFLOWS) -> None:
        super().__init__()
        self._overflows = overflows

    def requires(self, model: ir.Model) -> None:
        """Every value has a type, and none is float16."""
        wrong = (value for value in values_of(model.graph) if value.name and value.dtype in (None, _NARROW))
        require(model, (f"{value.name} has the type {value.dtype}" for value in wrong))

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Convert every float32 value outside the float32 parts, and insert casts between float16 and float32."""
        graph = model.graph
        wide = _wide_nodes(graph) | _overflowing_nodes(graph, self._overflows)
        casts: dict[tuple[ir.Value, ir.DataType], ir.Value] = {}
        boundary = [*graph.inputs, *(value for node in graph if node not in wide for value in node.outputs)]
        for value in boundary:
            if value.dtype == _WIDE:
                value.dtype = _NARROW
        for node in list(graph):
            dtype = _WIDE if node in wide else _NARROW
            if node.op_type == "Cast" and node.attributes["to"].as_int() == _WIDE:
                node.attributes["to"] = ir.AttrInt64("to", dtype)  # from an integer or a truth value
            for index, operand in enumerate(node.inputs):
                if operand is None or (node.op_type, index) in ALWAYS_FLOAT:
                    continue
                if operand.dtype in (_WIDE, _NARROW):
                    node.replace_input_with(index, _as(graph, node, operand, dtype, casts))
        for index, output in enumerate(graph.outputs):
            if output.dtype == _WIDE:
                graph.outputs[index] = _narrow_output(graph, output)
        return ir.passes.PassResult(model, modified=True)

    def ensures(self, model: ir.Model) -> None:
        """No input or output is float32, and no node reads both types, except where ONNX requires float32."""
        ends = (value for value in (*model.graph.inputs, *model.graph.outputs) if value.dtype == _WIDE)
        ensure(model, (f"{value.name} is of float32" for value in ends))
        mixed = (node for node in model.graph if _types_read(node) >= {_WIDE, _NARROW})
        ensure(model, (f"{node.op_type} {node.name} reads float32 and float16" for node in mixed))


def _types_read(node: ir.Node) -> set[ir.DataType | None]:
    """The types of the inputs of `node`, without the inputs that ONNX defines as float32."""
    inputs = (value for index, value in enumerate(node.inputs) if (node.op_type, index) not in ALWAYS_FLOAT)
    return {value.dtype for value in inputs if value is not None}


def _wide_nodes(graph: ir.Graph) -> set[ir.Node]:
    wide = {node for node in graph if node.op_type in WIDE_OPERATORS}
    pending = [node for node in graph if node.op_type in WIDE_ANCESTRY]
    while pending:
        node = pending.pop()
        wide.add(node)
        producers = (value.producer() for value in node.inputs if value is not None)
        pending.extend(producer for producer in producers if producer is not None and producer not in wide)
    return wide


def _overflowing_nodes(graph: ir.Graph, overflows: Overflows) -> set[ir.Node]:
    """The nodes of modules that overflow, and the nodes that read their results, also through views."""
    wide: set[ir.Node] = set()
    large: set[ir.Value] = set()
    for node in graph if overflows.results or overflows.inside else ():
        place = place_of(node)
        reads = any(value in large for value in node.inputs)
        if reads or place in overflows.results or place in overflows.inside:
            wide.add(node)
        if place in overflows.results or (reads and node.op_type in CARRIERS):
            large.update(node.outputs)
    return wide


def _as(
    graph: ir.Graph,
    node: ir.Node,
    value: ir.Value,
    dtype: ir.DataType,
    casts: dict[tuple[ir.Value, ir.DataType], ir.Value],
) -> ir.Value:
    """`value` in the type `dtype`: itself, the same weight in that type, or the output of a Cast before `node`.

    Later nodes use the same Cast.
    """
    key = (value, dtype)
    if key not in casts:
        if is_weight(value):
            casts[key] = _weight_as(graph, value, dtype)
        elif value.dtype == dtype:
            casts[key] = value
        else:
            cast = ir.node("Cast", [value], {"to": dtype}, name=f"{value.name}.cast")
            cast.outputs[0].name = f"{value.name}.{dtype.name.lower()}"
            cast.outputs[0].dtype, cast.outputs[0].shape = dtype, value.shape
            graph.insert_before(node, cast)
            casts[key] = cast.outputs[0]
    return casts[key]


def _weight_as(graph: ir.Graph, value: ir.Value, dtype: ir.DataType) -> ir.Value:
    if dtype == _WIDE:
        return value
    tensor = weight_of(value).cast(dtype)
    name = str(value.name)
    narrow = ir.Value(name=name, type=ir.TensorType(dtype), shape=value.shape, const_value=tensor)
    value.name = f"{name}.float"  # the float32 weight stays only if a float32 part reads it
    graph.initializers[name] = narrow
    return narrow


def _narrow_output(graph: ir.Graph, value: ir.Value) -> ir.Value:
    name, value.name = value.name, f"{value.name}.float"
    cast = ir.node("Cast", [value], {"to": _NARROW}, name=f"{name}.cast")
    cast.outputs[0].name = name
    cast.outputs[0].dtype, cast.outputs[0].shape = _NARROW, value.shape
    graph.append(cast)
    return cast.outputs[0]
