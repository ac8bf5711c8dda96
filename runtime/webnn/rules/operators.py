"""Rules on single operators: attributes that the provider refuses, and those that it takes and gets wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import onnx_ir as ir

from turbo_webnn.runtime.webnn.graph import constant, static_shape
from turbo_webnn.runtime.webnn.rules.finding import Complaint
from turbo_webnn.runtime.webnn.rules.values import takes
from turbo_webnn.runtime.webnn.target import Target

OperatorRule = Callable[[ir.Node, Target], Iterator[Complaint]]


def _text(node: ir.Node, name: str, default: str) -> str:
    return node.attributes.get_string(name, default) or default


def _number(node: ir.Node, name: str, default: int) -> int:
    value = node.attributes.get_int(name, default)
    return default if value is None else value


def _input(node: ir.Node, index: int) -> ir.Value | None:
    value = node.inputs[index] if index < len(node.inputs) else None
    return value if value is not None and value.name else None


def _must_be(name: str, *allowed: object, default: object, remedy: str) -> OperatorRule:
    """A rule that an attribute has one of the values that WebNN can express."""

    def rule(node: ir.Node, _: Target) -> Iterator[Complaint]:
        attribute = node.attributes.get(name)
        value = default if attribute is None else attribute.value
        if value not in allowed:
            yield Complaint(f"{name} is {value}, WebNN has {', '.join(map(str, allowed))}", remedy)

    return rule


def _resize_keeps_batch_and_channels(node: ir.Node, _: Target) -> Iterator[Complaint]:
    """Only the two last of four dimensions are resampled."""
    before, after = (static_shape(value) if value else None for value in (_input(node, 0), node.outputs[0]))
    if before and after and len(before) == 4 and before[:2] != after[:2]:
        yield Complaint(f"it resizes {list(before)} to {list(after)}", "resize the last two dimensions only")


def _slice_can_be_reversed(node: ir.Node, target: Target) -> Iterator[Complaint]:
    """A negative step becomes a `reverse`, which takes fewer types than `slice`."""
    steps, data = constant(_input(node, 4)), _input(node, 0)
    limit = target.limit("reverse", "input")
    if steps is None or data is None or data.dtype is None or not any(step < 0 for step in steps.numpy().flat):
        return
    if limit is None or not takes(target, limit, data.dtype):
        reason = f"a negative step reverses, and reverse takes no {data.dtype.name.lower()}"
        yield Complaint(reason, "cast the data around it")


def _shape_is_of_int64(_: ir.Node, target: Target) -> Iterator[Complaint]:
    if not target.has_int64:
        yield Complaint(f"its result is int64, which {target.name} has not", "fold it: shapes are static")


def _clip_is_of_floats(node: ir.Node, _: Target) -> Iterator[Complaint]:
    data = _input(node, 0)
    if data is not None and data.dtype not in (ir.DataType.FLOAT, ir.DataType.FLOAT16, None):
        yield Complaint("the provider reads bounds of float32 and float16 alone", "use Min and Max")


def _matmul_bits_are_taken(node: ir.Node, target: Target) -> Iterator[Complaint]:
    """Weights of MatMulNBits are packed in uint8 and dequantised as uint4 or uint8."""
    bits = _number(node, "bits", 4)
    stored = {4: "uint4", 8: "uint8"}.get(bits)
    if stored is None:
        yield Complaint(f"bits is {bits}", "quantise to 4 or 8 bits")
        return
    if _input(node, 4) is not None:
        yield Complaint("it has g_idx", "quantise without reordering")
    for parameter in ("input", "zeroPoint"):
        limit = target.limit("dequantizeLinear", parameter)
        if limit is None or stored not in limit.types:
            reason = f"dequantizeLinear.{parameter} of {target.name} takes no {stored}"
            yield Complaint(reason, "use 8 bits, or int4 in DequantizeLinear where the target takes it")


def _einsum_takes_two(node: ir.Node, _: Target) -> Iterator[Complaint]:
    if len(node.inputs) > 2:
        yield Complaint(f"it has {len(node.inputs)} inputs, the provider takes two", "chain Einsums of two")


def _skip_norm_keeps_statistics(node: ir.Node, _: Target) -> Iterator[Complaint]:
    if any(value.name for value in node.outputs[1:3]):
        yield Complaint("it gives mean and inverse deviation", "drop those outputs")


def _sampled_as_written(node: ir.Node, _: Target) -> Iterator[Complaint]:
    """WebNN's resample2d has one grid for each mode, and the provider ignores which one is asked for."""
    mode, grid = _text(node, "mode", "nearest"), _text(node, "coordinate_transformation_mode", "half_pixel")
    rounding = _text(node, "nearest_mode", "round_prefer_floor")
    if mode == "linear" and grid not in ("half_pixel", "pytorch_half_pixel"):
        yield Complaint(f"linear samples at half_pixel, not {grid}", "use half_pixel")
    if mode == "nearest" and (grid, rounding) != ("asymmetric", "floor"):
        reason = f"nearest samples asymmetric and floor, not {grid} and {rounding}"
        yield Complaint(reason, "use asymmetric and floor")


def _gelu_is_exact(node: ir.Node, _: Target) -> Iterator[Complaint]:
    if _text(node, "approximate", "none") != "none":
        yield Complaint("WebNN's gelu is the exact one", "use approximate=none, or write the tanh out")


def _depth_to_space_fits(_: ir.Node, target: Target) -> Iterator[Complaint]:
    """It becomes a transposition of rank 6, which the provider does not hold against the limits."""
    limit = target.limit("transpose", "input")
    if limit is not None and 6 not in limit.ranks:
        reason = f"it transposes at rank 6, {target.name} takes {limit.ranks[-1]}"
        yield Complaint(reason, "write it as reshapes and transpositions of lower rank")


def _instances_have_space(node: ir.Node, _: Target) -> Iterator[Complaint]:
    """Below rank 3 there is nothing to normalise over; the provider reads past the shape's end."""
    data = _input(node, 0)
    if data is not None and data.shape is not None and len(data.shape) < 3:
        yield Complaint(f"rank {len(data.shape)} crashes the provider", "give it [batch, channels, space]")


def _split_is_even(node: ir.Node, _: Target) -> Iterator[Complaint]:
    """The provider cuts into equal parts whatever the length, and the builder refuses a remainder."""
    parts = node.attributes.get_int("num_outputs", 0)
    shape = static_shape(data) if (data := _input(node, 0)) is not None else None
    if parts and shape and shape[_number(node, "axis", 0)] % parts:
        yield Complaint(f"{list(shape)} has no {parts} equal parts", "state the sizes of the parts")


def _row_has_blocks(node: ir.Node, _: Target) -> Iterator[Complaint]:
    """LiteRT takes the one scale of each row for that of a channel, and compiles no product by such a weight."""
    if 0 < _number(node, "K", 0) <= _number(node, "block_size", 0):
        yield Complaint("a row is one block, which LiteRT does not compile", "use smaller blocks")


def _pool_is_dense(node: ir.Node, _: Target) -> Iterator[Complaint]:
    dilations = node.attributes.get_ints("dilations", ())
    if any(dilation != 1 for dilation in dilations or ()):
        yield Complaint("LiteRT has no dilated pooling", "pool without dilations")


REFUSED: dict[str, tuple[OperatorRule, ...]] = {
    "Clip": (_clip_is_of_floats,),
    "Einsum": (_einsum_takes_two,),
    "GatherND": (_must_be("batch_dims", 0, default=0, remedy="gather with full indices"),),
    "LpPool": (_must_be("p", 2, default=2, remedy="write it with Abs, Pow and AveragePool"),),
    "MatMulNBits": (_matmul_bits_are_taken,),
    "MaxPool": (_must_be("storage_order", 0, default=0, remedy="use row-major order"),),
    "Pad": (_must_be("mode", "constant", "edge", "reflect", default="constant", remedy="pad by Concat"),),
    "Resize": (
        _must_be("mode", "nearest", "linear", default="nearest", remedy="use linear or nearest"),
        _must_be("antialias", 0, default=0, remedy="blur first, or pool"),
        _must_be("exclude_outside", 0, default=0, remedy="leave it off"),
        _must_be("keep_aspect_ratio_policy", "stretch", default="stretch", remedy="state the size itself"),
        _resize_keeps_batch_and_channels,
    ),
    "ScatterElements": (_must_be("reduction", "none", default="none", remedy="add by a Where mask"),),
    "ScatterND": (_must_be("reduction", "none", default="none", remedy="add by a Where mask"),),
    "Shape": (_shape_is_of_int64,),
    "SkipLayerNormalization": (_skip_norm_keeps_statistics,),
    "SkipSimplifiedLayerNormalization": (_skip_norm_keeps_statistics,),
    "Slice": (_slice_can_be_reversed,),
}
WRONG: dict[str, tuple[OperatorRule, ...]] = {
    "Gelu": (_gelu_is_exact,),
    "Resize": (_sampled_as_written,),
}
FAILING: dict[str, tuple[OperatorRule, ...]] = {
    "AveragePool": (_pool_is_dense,),
    "DepthToSpace": (_depth_to_space_fits,),
    "InstanceNormalization": (_instances_have_space,),
    "MatMulNBits": (_row_has_blocks,),
    "MaxPool": (_pool_is_dense,),
    "Split": (_split_is_even,),
}


def attributes_are_taken(node: ir.Node, target: Target) -> Iterator[Complaint]:
    """What WebNN cannot express of an operator that it has."""
    for rule in REFUSED.get(node.op_type, ()):
        yield from rule(node, target)


def means_the_same(node: ir.Node, target: Target) -> Iterator[Complaint]:
    """What the provider takes and computes otherwise."""
    for rule in WRONG.get(node.op_type, ()):
        yield from rule(node, target)


def builds(node: ir.Node, target: Target) -> Iterator[Complaint]:
    """What the provider takes and the back end, or the provider itself, breaks on."""
    for rule in FAILING.get(node.op_type, ()):
        yield from rule(node, target)
