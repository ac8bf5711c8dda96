"""Damage to an ONNX file: to nodes, types, shapes, operator sets, and to the location of its weights."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import onnx
from google.protobuf.message import DecodeError

from turbo_webnn.scripts.fuzz.mutations.plain_bytes import mutate_bytes

LOCATIONS = (
    *("../model.onnx.data", "/etc/passwd", "../../../../etc/hostname", "", ".", "..", "/", "/dev/zero", "model.onnx"),
    *("missing.data", "a\0b", "sub/../../outside.data", "C:\\windows\\win.ini", "x" * 5000),
)
"""Invalid locations of external data."""

_NUMBERS = ("-1", "0", "1", str(2**31), str(2**63), "9" * 40, "nan", "", "0x10", "1.5")

_SIZES = (0, -1, 1, 2, 2**31, 2**40, 2**62)


def mutate_onnx_bytes(rng: Random, data: bytes) -> bytes:
    """Damage the ONNX file `data` once."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:  # damaged by an earlier mutation
        return mutate_bytes(rng, data)
    if not model.graph.node or not model.graph.initializer or rng.random() < 0.1:
        return mutate_bytes(rng, data)
    rng.choice(_KINDS)(rng, model)
    return bytes(model.SerializeToString())


def _location(rng: Random, model: onnx.ModelProto) -> None:
    tensor = rng.choice(model.graph.initializer)
    entries = {entry.key: entry for entry in tensor.external_data}
    if not entries:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entries["location"] = tensor.external_data.add(key="location")
    entries["location"].value = rng.choice(LOCATIONS)


def _offset(rng: Random, model: onnx.ModelProto) -> None:
    external = [tensor for tensor in model.graph.initializer if tensor.external_data]
    tensor = rng.choice(external or list(model.graph.initializer))
    entry = rng.choice(list(tensor.external_data) or [tensor.external_data.add(key="offset")])
    entry.value = rng.choice(_NUMBERS)


def _operator(rng: Random, model: onnx.ModelProto) -> None:
    node = rng.choice(model.graph.node)
    if rng.random() < 0.7:
        node.op_type = rng.choice(("", "Nothing", "Add", "Loop", "If", "RandomNormal", "ReadFile", "Reshape"))
    else:
        node.domain = rng.choice(("evil", "com.microsoft", "ai.onnx.ml"))


def _wiring(rng: Random, model: onnx.ModelProto) -> None:
    node, other = rng.choice(model.graph.node), rng.choice(model.graph.node)
    change = rng.random()
    if change < 0.3 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(("", "missing", other.output[0]))
    elif change < 0.6:
        node.output[0] = rng.choice(("", other.output[0], node.input[0] if node.input else "x"))
    elif change < 0.8:
        node.input.append(rng.choice(("", other.output[0])))
    else:
        del node.input[:]


def _drop_node(rng: Random, model: onnx.ModelProto) -> None:
    del model.graph.node[rng.randrange(len(model.graph.node))]


def _dimensions(rng: Random, model: onnx.ModelProto) -> None:
    tensor = rng.choice(model.graph.initializer)
    if tensor.dims and rng.random() < 0.7:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(_SIZES)
    else:
        tensor.dims.append(rng.choice(_SIZES))


def _tensor_type(rng: Random, model: onnx.ModelProto) -> None:
    rng.choice(model.graph.initializer).data_type = rng.choice((0, 1, 7, 8, 10, 16, 22, 99, -1))


def _boundary(rng: Random, model: onnx.ModelProto) -> None:
    value = rng.choice([*model.graph.input, *model.graph.output])
    kind = value.type.tensor_type
    change = rng.random()
    if change < 0.4 and kind.shape.dim:
        rng.choice(kind.shape.dim).dim_value = rng.choice(_SIZES)
    elif change < 0.6:
        kind.elem_type = rng.choice((0, 1, 7, 8, 10, 99))
    elif change < 0.8:
        value.name = rng.choice(("", "other", "../x"))
    else:
        value.ClearField("type")


def _versions(rng: Random, model: onnx.ModelProto) -> None:
    if rng.random() < 0.5:
        model.ir_version = rng.choice((0, -1, 3, 99, 2**40))
    elif rng.random() < 0.5:
        model.opset_import[0].version = rng.choice((0, -1, 1, 7, 99, 2**40))
    else:
        del model.opset_import[:]


def _attribute(rng: Random, model: onnx.ModelProto) -> None:
    nodes = [node for node in model.graph.node if node.attribute] or list(model.graph.node)
    node = rng.choice(nodes)
    if not node.attribute or rng.random() < 0.2:
        node.attribute.add(name="unknown", type=onnx.AttributeProto.INT, i=1)
        return
    attribute = rng.choice(node.attribute)
    attribute.i = rng.choice(_SIZES)
    attribute.type = rng.choice((attribute.type, onnx.AttributeProto.INT, onnx.AttributeProto.GRAPH))
    if attribute.ints and rng.random() < 0.5:
        attribute.ints[0] = rng.choice(_SIZES)


def _drop_weights(rng: Random, model: onnx.ModelProto) -> None:
    del model.graph.initializer[rng.randrange(len(model.graph.initializer))]


_KINDS: tuple[Callable[[Random, onnx.ModelProto], None], ...] = (
    _location,
    _location,
    _offset,
    _operator,
    _wiring,
    _drop_node,
    _dimensions,
    _tensor_type,
    _boundary,
    _versions,
    _attribute,
    _drop_weights,
)
