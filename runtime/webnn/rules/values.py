"""Rules on the inputs and outputs of nodes: shapes, ranks, types, sizes, constants."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import onnx_ir as ir

from turbo_webnn.runtime.webnn.graph import constant, static_shape
from turbo_webnn.runtime.webnn.lowering import LOWERINGS, Lowering
from turbo_webnn.runtime.webnn.rules.finding import Problem
from turbo_webnn.runtime.webnn.target import Limit, Target

# The WebNN name of each ONNX data type. WebNN represents bool as uint8.
WEBNN_TYPES = {
    ir.DataType.FLOAT: "float32",
    ir.DataType.FLOAT16: "float16",
    ir.DataType.INT32: "int32",
    ir.DataType.UINT32: "uint32",
    ir.DataType.INT64: "int64",
    ir.DataType.UINT64: "uint64",
    ir.DataType.INT8: "int8",
    ir.DataType.UINT8: "uint8",
    ir.DataType.BOOL: "uint8",
    ir.DataType.INT4: "int4",
    ir.DataType.UINT4: "uint4",
}

# The ranks for which the provider folds or unfolds dimensions itself, by operator.
FOLDED_RANKS = {
    "Conv": range(3, 4),
    "ConvTranspose": range(3, 4),
    "Einsum": range(9),
    "InstanceNormalization": range(3, 9),
    "MatMul": range(2),
}

# The ranks that the provider supports, independent of the back end.
PROVIDER_RANKS = {
    "AveragePool": range(4, 5),
    "Conv": range(3, 5),
    "ConvTranspose": range(3, 5),
    "LpPool": range(4, 5),
    "MaxPool": range(4, 5),
    "Resize": range(4, 5),
}

# A value, and the operation and parameter whose limit applies to it.
LimitedValue = tuple[ir.Value | None, str, str]


def operator_is_lowered(node: ir.Node, target: Target) -> Iterator[Problem]:
    """The provider supports the operator, and the back end supports every operation of its lowering."""
    lowering = LOWERINGS.get(node.op_type)
    if lowering is None:
        yield Problem("the provider has no WebNN operation for it", "write it in operators that it has")
        return
    if 0 < (opset := _opset(node)) < lowering.since:
        reason = f"the provider reads it from operator set {lowering.since} on, not {opset}"
        yield Problem(reason, "raise the graph's operator set")
    for operation in lowering.operations:
        if operation not in target.operations:
            yield Problem(f"{target.name} has no {operation}", "write it in other operators")


def values_are_static(node: ir.Node, _: Target) -> Iterator[Problem]:
    """Every value has a static shape without zeros."""
    for value in _present(node.inputs) + _present(node.outputs):
        shape = static_shape(value)
        if shape is None:
            yield Problem(f"{value.name} has no static shape", "export at fixed sizes, shapes inferred")
        elif 0 in shape:
            yield Problem(f"{value.name} is empty, {list(shape)}", "leave empty tensors out")


def ranks_are_supported(node: ir.Node, target: Target) -> Iterator[Problem]:
    """Each rank is within the limit of the operation's parameter."""
    data = node.inputs[0] if node.inputs else None
    ranks = PROVIDER_RANKS.get(node.op_type)
    if ranks and data is not None and data.shape is not None and len(data.shape) not in ranks:
        reason = f"the provider takes rank {ranks[-1]}, {data.name} has {len(data.shape)}"
        yield Problem(reason, "reshape around it")
        return
    for value, parameter, limit in _limited_values(node, target):
        rank = None if value.shape is None else len(value.shape)
        if rank is None or rank in limit.ranks or rank in FOLDED_RANKS.get(node.op_type, ()):
            continue
        reason = f"{parameter} takes rank {limit.ranks[0]} to {limit.ranks[-1]}, {value.name} has {rank}"
        yield Problem(reason, "reshape around it, or fold dimensions")


def types_are_supported(node: ir.Node, target: Target) -> Iterator[Problem]:
    """Each data type is one that the operation's parameter supports."""
    for value, parameter, limit in _limited_values(node, target):
        if value.dtype is None or takes(target, limit, value.dtype, index=parameter.endswith(".indices")):
            continue
        supported = ", ".join(sorted(limit.types))
        reason = f"{parameter} takes {supported}, {value.name} is {value.dtype.name.lower()}"
        remedy = "use 8 bits" if value.dtype in (ir.DataType.INT4, ir.DataType.UINT4) else "cast it"
        yield Problem(reason, remedy)


def types_agree(node: ir.Node, _: Target) -> Iterator[Problem]:
    """The inputs of one computation have the same type."""
    lowering = LOWERINGS.get(node.op_type)
    if lowering is None or not lowering.direct or node.op_type in ("DequantizeLinear", "QuantizeLinear"):
        return
    operands = [
        value
        for value, parameter in zip(node.inputs, _parameters(node, lowering), strict=False)
        if value is not None and parameter not in ("indices", "condition")
    ]
    names = {value.dtype.name.lower() for value in operands if value.dtype is not None}
    if len(names) > 1:
        yield Problem(f"its inputs are {' and '.join(sorted(names))}", "cast them to one type")


def options_are_constant(node: ir.Node, _: Target) -> Iterator[Problem]:
    """Inputs that become options of a WebNN call are constant, because WebNN needs them when it builds the graph."""
    lowering = LOWERINGS.get(node.op_type)
    for index in lowering.constants if lowering else ():
        value = node.inputs[index] if index < len(node.inputs) else None
        if value is not None and value.name and constant(value) is None:
            yield Problem(f"{value.name} is computed", "make it an initializer: fold what computes it")


def outputs_are_supported(node: ir.Node, _: Target) -> Iterator[Problem]:
    """The node has no more outputs than the WebNN operation."""
    lowering = LOWERINGS.get(node.op_type)
    if lowering is not None and len(node.outputs) > lowering.outputs:
        reason = f"it has {len(node.outputs)} outputs, WebNN gives {lowering.outputs}"
        yield Problem(reason, "drop the outputs that nothing reads, compute the others apart")


def tensors_are_small(node: ir.Node, target: Target) -> Iterator[Problem]:
    """No tensor, intermediates included, is larger than the limit of the back end."""
    graph_inputs = [value for value in _present(node.inputs) if value.producer() is None]
    for value in _present(node.outputs) + graph_inputs:
        shape = static_shape(value)
        if shape is None or value.dtype not in WEBNN_TYPES:
            continue
        size = (math.prod(shape) * value.dtype.bitwidth + 7) // 8
        if size > target.max_tensor_bytes:
            reason = f"{value.name} takes {size} bytes, {target.name} takes {target.max_tensor_bytes}"
            yield Problem(reason, "split the work, or use a smaller size or batch")


def _opset(node: ir.Node) -> int:
    """The operator set of `node`'s domain; 0 where the graph does not state it."""
    return 0 if node.graph is None else node.graph.opset_imports.get(node.domain, 0)


def _present(values: Sequence[ir.Value | None]) -> list[ir.Value]:
    return [value for value in values if value is not None and value.name]


def takes(target: Target, limit: Limit, dtype: ir.DataType, *, index: bool = False) -> bool:
    """Whether a parameter with `limit` supports `dtype`.

    The provider replaces int64 with int32 for a back end without int64, and for indices on every back end.
    """
    name = WEBNN_TYPES.get(dtype)
    narrowed = name == "int64" and (index or not target.has_int64)
    return name in limit.types or (narrowed and "int32" in limit.types)


def _limited_values(node: ir.Node, target: Target) -> Iterator[tuple[ir.Value, str, Limit]]:
    """The values of `node` that become parameters with limits, each with the parameter's name and its limit."""
    lowering = LOWERINGS.get(node.op_type)
    if lowering is None:
        return
    values = _decomposed_values(node, lowering, target) if not lowering.direct else _direct_values(node, lowering)
    for value, operation, parameter in values:
        limit = target.limit(operation, parameter)
        if value is not None and value.name and limit is not None:
            yield value, f"{operation}.{parameter}", limit


def _direct_values(node: ir.Node, lowering: Lowering) -> Iterator[LimitedValue]:
    (operation,) = lowering.operations
    for value, parameter in zip(node.inputs, _parameters(node, lowering), strict=False):
        yield value, operation, parameter
    if operation == "split":
        yield from ((value, operation, "outputs") for value in node.outputs)
    else:
        yield node.outputs[0], operation, "output"


def _parameters(node: ir.Node, lowering: Lowering) -> tuple[str, ...]:
    """The WebNN parameter of each input. Concat, Max and Min have any number of inputs of the same kind."""
    if node.op_type in ("Concat", "Max", "Min"):
        return lowering.parameters[:1] * len(node.inputs)
    return lowering.parameters


def _decomposed_values(node: ir.Node, lowering: Lowering, target: Target) -> Iterator[LimitedValue]:
    """For a decomposed operator: its first input, with the first parameter of each operation."""
    for operation in lowering.operations:
        parameters = target.operations.get(operation, {})
        first = next((name for name in ("input", "a", "inputs") if name in parameters), "input")
        yield node.inputs[0], operation, first
