"""The WebNN operations that the provider of onnxruntime-web 1.30 generates for each ONNX operator.

Source: the provider's verdicts on one-node graphs of every operator, type and rank, over every table. The provider
distinguishes operators only by name, not by domain.

Some operators are omitted on purpose: they reach WebNN only where onnxruntime inlines their definition, because its
CPU provider has no kernel for the type (Mish, CastLike, LogSoftmax in float16). A graph should not depend on that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Lowering:
    """The lowering of an ONNX operator to WebNN.

    An operator has a direct counterpart in WebNN, or is decomposed into several operations.

    Attributes:
        operations: the WebNN operations: the direct counterpart, or those operations of the decomposition that must
            support the type of the first input.
        parameters: for a direct counterpart, the WebNN parameter of each ONNX input. Later inputs become options of the
            call, or are not read. Empty for a decomposed operator.
        constants: the indices of inputs that must be initializers, because the provider reads their values.
        outputs: the largest number of outputs.
        since: the oldest supported version of the operator.
    """

    operations: tuple[str, ...]
    parameters: tuple[str, ...] = ("input",)
    constants: tuple[int, ...] = ()
    outputs: int = 1
    since: int = 1

    @property
    def direct(self) -> bool:
        """Whether the operator has a direct counterpart in WebNN."""
        return bool(self.parameters)


_UNARY = {
    "Abs": "abs",
    "ArgMax": "argMax",
    "ArgMin": "argMin",
    "AveragePool": "averagePool2d",
    "Cast": "cast",
    "Ceil": "ceil",
    "Cos": "cos",
    "Elu": "elu",
    "Erf": "erf",
    "Exp": "exp",
    "Flatten": "reshape",
    "Floor": "floor",
    "Gelu": "gelu",
    "GlobalAveragePool": "averagePool2d",
    "GlobalLpPool": "l2Pool2d",
    "GlobalMaxPool": "maxPool2d",
    "HardSigmoid": "hardSigmoid",
    "HardSwish": "hardSwish",
    "Identity": "identity",
    "LeakyRelu": "leakyRelu",
    "Log": "log",
    "LpPool": "l2Pool2d",
    "MaxPool": "maxPool2d",
    "Neg": "neg",
    "Reciprocal": "reciprocal",
    "Relu": "relu",
    "Round": "roundEven",
    "Shape": "slice",
    "Sigmoid": "sigmoid",
    "Sign": "sign",
    "Sin": "sin",
    "Softmax": "softmax",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Sqrt": "sqrt",
    "Tan": "tan",
    "Tanh": "tanh",
    "Transpose": "transpose",
}
_LOGICAL = {"IsInf": "isInfinite", "IsNaN": "isNaN", "Not": "logicalNot"}
_BINARY = {
    "Add": "add",
    "And": "logicalAnd",
    "Div": "div",
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greaterOrEqual",
    "Less": "lesser",
    "LessOrEqual": "lesserOrEqual",
    "MatMul": "matmul",
    "Max": "max",
    "Min": "min",
    "Mul": "mul",
    "Or": "logicalOr",
    "Pow": "pow",
    "Sub": "sub",
    "Xor": "logicalXor",
}
# Operators whose second input is a shape, axes, repetitions or a diagonal.
_WITH_CONSTANT = {
    "CumSum": "cumulativeSum",
    "Expand": "expand",
    "ReduceL1": "reduceL1",
    "ReduceL2": "reduceL2",
    "ReduceLogSum": "reduceLogSum",
    "ReduceLogSumExp": "reduceLogSumExp",
    "ReduceMax": "reduceMax",
    "ReduceMean": "reduceMean",
    "ReduceMin": "reduceMin",
    "ReduceProd": "reduceProduct",
    "ReduceSum": "reduceSum",
    "ReduceSumSquare": "reduceSumSquare",
    "Reshape": "reshape",
    "Squeeze": "reshape",
    "Tile": "tile",
    "Trilu": "triangular",
    "Unsqueeze": "reshape",
}
_RMS = ("add", "div", "mul", "pow", "reduceMean", "sqrt")
_DECOMPOSED = {
    "ConvInteger": ("dequantizeLinear",),
    "DepthToSpace": ("reshape", "transpose"),
    "Einsum": ("matmul", "mul", "reduceSum", "reshape", "transpose", "triangular"),
    "LRN": ("add", "averagePool2d", "div", "mul", "pad", "pow", "transpose"),
    "LpNormalization": ("div", "max", "reduceL1", "reduceL2"),
    "MatMulInteger": ("dequantizeLinear",),
    "MultiHeadAttention": ("add", "concat", "div", "matmul", "reshape", "softmax", "transpose"),
    "RotaryEmbedding": ("add", "concat", "mul", "reshape", "slice", "split"),
    "SimplifiedLayerNormalization": _RMS,
}

LOWERINGS: Mapping[str, Lowering] = {
    **{operator: Lowering((operation,)) for operator, operation in _UNARY.items()},
    **{operator: Lowering((operation,), ("a",)) for operator, operation in _LOGICAL.items()},
    **{operator: Lowering((operation,), ("a", "b")) for operator, operation in _BINARY.items()},
    **{operator: Lowering((operation,), constants=(1,)) for operator, operation in _WITH_CONSTANT.items()},
    **{operator: Lowering(operations, ()) for operator, operations in _DECOMPOSED.items()},
    "BatchNormalization": Lowering(("batchNormalization",), ("input", "scale", "bias", "mean", "variance")),
    "Clip": Lowering(("clamp",), constants=(1, 2)),
    "Concat": Lowering(("concat",), ("inputs",)),
    "Conv": Lowering(("conv2d",), ("input", "filter", "bias")),
    "ConvTranspose": Lowering(("convTranspose2d",), ("input", "filter", "bias")),
    "DequantizeLinear": Lowering(("dequantizeLinear",), ("input", "scale", "zeroPoint")),
    "Dropout": Lowering(("identity",), outputs=2),
    "DynamicQuantizeLinear": Lowering(("quantizeLinear", "reduceMax"), (), outputs=3),
    "Gather": Lowering(("gather",), ("input", "indices")),
    "GatherElements": Lowering(("gatherElements",), ("input", "indices")),
    "GatherND": Lowering(("gatherND",), ("input", "indices")),
    "Gemm": Lowering(("gemm",), ("a", "b", "c")),
    "InstanceNormalization": Lowering(("instanceNormalization",), ("input", "scale", "bias")),
    "LayerNormalization": Lowering(("layerNormalization",), ("input", "scale", "bias")),
    "MatMulNBits": Lowering(("matmul", "reshape", "transpose"), (), constants=(1, 3)),
    "PRelu": Lowering(("prelu",), ("input", "slope")),
    "Pad": Lowering(("pad",), constants=(1, 2, 3)),
    "QuantizeLinear": Lowering(("quantizeLinear",), ("input", "scale", "zeroPoint")),
    "Resize": Lowering(("resample2d",), constants=(2, 3), since=11),
    "ScatterElements": Lowering(("scatterElements",), ("input", "indices", "updates")),
    "ScatterND": Lowering(("scatterND",), ("input", "indices", "updates")),
    "SkipLayerNormalization": Lowering(("add", "layerNormalization"), (), outputs=4),
    "SkipSimplifiedLayerNormalization": Lowering(_RMS, (), outputs=4),
    "Slice": Lowering(("slice",), constants=(1, 2, 3, 4), since=10),
    "Split": Lowering(("split",), constants=(1,), outputs=1 << 16),
    "Where": Lowering(("where",), ("condition", "trueValue", "falseValue")),
}
