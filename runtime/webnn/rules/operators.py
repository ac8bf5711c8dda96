"""Rules on single operators: attributes that the provider refuses, and attributes that it handles wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import onnx_ir as ir

from turbo_webnn.runtime.webnn.graph import constant, static_shape
from turbo_webnn.runtime.webnn.rules.finding import Problem
from turbo_webnn.runtime.webnn.rules.values import takes
from turbo_webnn.runtime.webnn.target import Target

OperatorRule = Callable[[ir.Node, Target], Iterator[Problem]]


def _text(node: ir.Node, name: str, default: str) -> str:
    return node.attributes.get_string(name, default) or default


def _number(node: ir.Node, name: str, default: int) -> int:
    value = node.attributes.get_int(name, default)
    return default if value is None else value


def _input(node: ir.Node, index: int) -> ir.Value | None:
    value = node.inputs[index] if index < len(node.inputs) else None
    return value if value is not None and value.name else None


def _must_be(name: str, *allowed: object, default: object, remedy: str) -> OperatorRule:
    """Make a rule that requires an attribute to have one of the values that WebNN supports."""

    def rule(node: ir.Node, _: Target) -> Iterator[Problem]:
        attribute = node.attributes.get(name)
        value = default if attribute is None else attribute.value
        if value not in allowed:
            yield Problem(f"{name} is {value}, WebNN has {', '.join(map(str, allowed))}", remedy)

    return rule


def _resize_keeps_batch_and_channels(node: ir.Node, _: Target) -> Iterator[Problem]:
    """WebNN resamples only the last two of four dimensions."""
    before, after = (static_shape(value) if value else None for value in (_input(node, 0), node.outputs[0]))
    if before and after and len(before) == 4 and before[:2] != after[:2]:
        yield Problem(f"it resizes {list(before)} to {list(after)}", "resize the last two dimensions only")


def _slice_can_be_reversed(node: ir.Node, target: Target) -> Iterator[Problem]:
    """The provider lowers a negative step to `reverse`, which supports fewer types than `slice`."""
    steps, data = constant(_input(node, 4)), _input(node, 0)
    limit = target.limit("reverse", "input")
    if steps is None or data is None or data.dtype is None or not any(step < 0 for step in steps.numpy().flat):
        return
    if limit is None or not takes(target, limit, data.dtype):
        reason = f"a negative step reverses, and reverse takes no {data.dtype.name.lower()}"
        yield Problem(reason, "cast the data around it")


def _int64_is_supported(_: ir.Node, target: Target) -> Iterator[Problem]:
    if not target.has_int64:
        yield Problem(f"its result is int64, which {target.name} has not", "fold it: shapes are static")


def _clip_has_floats(node: ir.Node, _: Target) -> Iterator[Problem]:
    data = _input(node, 0)
    if data is not None and data.dtype not in (ir.DataType.FLOAT, ir.DataType.FLOAT16, None):
        yield Problem("the provider reads bounds of float32 and float16 alone", "use Min and Max")


def _matmul_bits_are_supported(node: ir.Node, target: Target) -> Iterator[Problem]:
    """The provider dequantises the packed weights of MatMulNBits as uint4 or uint8."""
    bits = _number(node, "bits", 4)
    stored = {4: "uint4", 8: "uint8"}.get(bits)
    if stored is None:
        yield Problem(f"bits is {bits}", "quantise to 4 or 8 bits")
        return
    if _input(node, 4) is not None:
        yield Problem("it has g_idx", "quantise without reordering")
    for parameter in ("input", "zeroPoint"):
        limit = target.limit("dequantizeLinear", parameter)
        if limit is None or stored not in limit.types:
            reason = f"dequantizeLinear.{parameter} of {target.name} takes no {stored}"
            yield Problem(reason, "use 8 bits, or int4 in DequantizeLinear where the target takes it")


def _einsum_takes_two(node: ir.Node, _: Target) -> Iterator[Problem]:
    if len(node.inputs) > 2:
        yield Problem(f"it has {len(node.inputs)} inputs, the provider takes two", "chain Einsums of two")


def _skip_norm_keeps_statistics(node: ir.Node, _: Target) -> Iterator[Problem]:
    if any(value.name for value in node.outputs[1:3]):
        yield Problem("it gives mean and inverse deviation", "drop those outputs")


def _grid_is_supported(node: ir.Node, _: Target) -> Iterator[Problem]:
    """WebNN's resample2d has one sampling grid for each mode. The provider ignores attributes that select another."""
    mode, grid = _text(node, "mode", "nearest"), _text(node, "coordinate_transformation_mode", "half_pixel")
    rounding = _text(node, "nearest_mode", "round_prefer_floor")
    if mode == "linear" and grid not in ("half_pixel", "pytorch_half_pixel"):
        yield Problem(f"linear samples at half_pixel, not {grid}", "use half_pixel")
    if mode == "nearest" and (grid, rounding) != ("asymmetric", "floor"):
        reason = f"nearest samples asymmetric and floor, not {grid} and {rounding}"
        yield Problem(reason, "use asymmetric and floor")


def _gelu_is_exact(node: ir.Node, _: Target) -> Iterator[Problem]:
    if _text(node, "approximate", "none") != "none":
        yield Problem("WebNN's gelu is the exact one", "use approximate=none, or write the tanh out")


def _depth_to_space_fits(_: ir.Node, target: Target) -> Iterator[Problem]:
    """The provider lowers it to a transposition of rank 6, and does not check the limits for that."""
    limit = target.limit("transpose", "input")
    if limit is not None and 6 not in limit.ranks:
        reason = f"it transposes at rank 6, {target.name} takes {limit.ranks[-1]}"
        yield Problem(reason, "write it as reshapes and transpositions of lower rank")


def _instances_have_space(node: ir.Node, _: Target) -> Iterator[Problem]:
    """Below rank 3 there are no spatial dimensions, and the provider reads beyond the end of the shape."""
    data = _input(node, 0)
    if data is not None and data.shape is not None and len(data.shape) < 3:
        yield Problem(f"rank {len(data.shape)} crashes the provider", "give it [batch, channels, space]")


def _split_is_even(node: ir.Node, _: Target) -> Iterator[Problem]:
    """The provider always splits into equal parts, and the builder refuses a remainder."""
    parts = node.attributes.get_int("num_outputs", 0)
    shape = static_shape(data) if (data := _input(node, 0)) is not None else None
    if parts and shape and shape[_number(node, "axis", 0)] % parts:
        yield Problem(f"{list(shape)} has no {parts} equal parts", "state the sizes of the parts")


def _row_has_blocks(node: ir.Node, _: Target) -> Iterator[Problem]:
    """LiteRT interprets a single scale per row as a scale per channel, and does not compile a MatMul with it."""
    if 0 < _number(node, "K", 0) <= _number(node, "block_size", 0):
        yield Problem("a row is one block, which LiteRT does not compile", "use smaller blocks")


def _pool_is_dense(node: ir.Node, _: Target) -> Iterator[Problem]:
    dilations = node.attributes.get_ints("dilations", ())
    if any(dilation != 1 for dilation in dilations or ()):
        yield Problem("LiteRT has no dilated pooling", "pool without dilations")


REFUSED: dict[str, tuple[OperatorRule, ...]] = {
    "Clip": (_clip_has_floats,),
    "Einsum": (_einsum_takes_two,),
    "GatherND": (_must_be("batch_dims", 0, default=0, remedy="gather with full indices"),),
    "LpPool": (_must_be("p", 2, default=2, remedy="write it with Abs, Pow and AveragePool"),),
    "MatMulNBits": (_matmul_bits_are_supported,),
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
    "Shape": (_int64_is_supported,),
    "SkipLayerNormalization": (_skip_norm_keeps_statistics,),
    "SkipSimplifiedLayerNormalization": (_skip_norm_keeps_statistics,),
    "Slice": (_slice_can_be_reversed,),
}
WRONG: dict[str, tuple[OperatorRule, ...]] = {
    "Gelu": (_gelu_is_exact,),
    "Resize": (_grid_is_supported,),
}
FAILING: dict[str, tuple[OperatorRule, ...]] = {
    "AveragePool": (_pool_is_dense,),
    "DepthToSpace": (_depth_to_space_fits,),
    "InstanceNormalization": (_instances_have_space,),
    "MatMulNBits": (_row_has_blocks,),
    "MaxPool": (_pool_is_dense,),
    "Split": (_split_is_even,),
}


def attributes_are_supported(node: ir.Node, target: Target) -> Iterator[Problem]:
    """The provider accepts the attributes of the operator."""
    for rule in REFUSED.get(node.op_type, ()):
        yield from rule(node, target)


def means_the_same(node: ir.Node, target: Target) -> Iterator[Problem]:
    """The provider computes the same result as ONNX."""
    for rule in WRONG.get(node.op_type, ()):
        yield from rule(node, target)


def builds(node: ir.Node, target: Target) -> Iterator[Problem]:
    """The back end, and the provider itself, do not fail on an operator that the provider accepts."""
    for rule in FAILING.get(node.op_type, ()):
        yield from rule(node, target)
