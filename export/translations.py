"""Own translations of torch operators, because the exporter's translations are dynamic or have guards.

Shapes are known when these functions run. So values that the exporter computes with Shape, Gather and Range are
constants here. Attention needs no guards against rows that are completely masked: these models have no such rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from onnxscript import opset20 as op

MASKED = -10000.0
"""Added to masked scores. exp(−10000) is 0 in every float type, and float16 holds −10000. −inf and the smallest float16
turn into NaN on some WebNN back ends."""


def _ints(*values: int) -> Any:
    return op.Constant(value_ints=list(values))


def attention(
    query: Any,  # [batch, heads, tokens, width]
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,  # noqa: ARG001 - part of the operator's signature
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,  # noqa: ARG001
) -> Any:
    """softmax(q·scale @ kᵀ + mask) @ v. The query is scaled before the product, so that float16 holds the scores."""
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = op.MatMul(op.Mul(query, op.Constant(value_float=scale)), op.Transpose(key, perm=[0, 1, 3, 2]))
    if is_causal:
        tokens = int(query.shape[-2])
        mask = np.triu(np.full((tokens, tokens), MASKED, np.float32), k=1)[None, None]
        scores = op.Add(scores, op.Constant(value=ir.tensor(mask)))
    elif attn_mask is not None:
        mask = attn_mask
        if mask.dtype == ir.DataType.BOOL:
            mask = op.Where(mask, op.Constant(value_float=0.0), op.Constant(value_float=MASKED))
        scores = op.Add(scores, mask)
    return op.MatMul(op.Softmax(scores, axis=-1), value)


def linear(input: Any, weight: Any, bias: Any = None) -> Any:  # noqa: A002 - part of the operator's signature
    """Gemm for matrices, else MatMul by the transposed weight. The weight is transposed when it is written."""
    if bias is not None and len(input.shape) == 2:
        return op.Gemm(input, weight, bias, transB=1)
    product = op.MatMul(input, op.Transpose(weight, perm=[1, 0]))
    return product if bias is None else op.Add(product, bias)


def group_norm(
    input: Any,  # noqa: A002 - part of the operator's signature; [batch, channels, ...]
    num_groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,  # noqa: ARG001
) -> Any:
    """Reshape, InstanceNormalization over the groups, Reshape, Mul, Add: WebNN has no GroupNormalization."""
    shape = [int(size) for size in input.shape]
    groups = op.Reshape(input, _ints(shape[0], num_groups, math.prod(shape[1:]) // num_groups))
    ones, zeros = (op.Constant(value_floats=[number] * num_groups) for number in (1.0, 0.0))
    normal = op.Reshape(op.InstanceNormalization(groups, ones, zeros, epsilon=eps), _ints(*shape))
    channels = _ints(shape[1], *[1] * (len(shape) - 2))
    if weight is not None:
        normal = op.Mul(normal, op.Reshape(weight, channels))
    return normal if bias is None else op.Add(normal, op.Reshape(bias, channels))


def reshape(self: Any, shape: Any) -> Any:
    """Reshape to a constant shape; −1 is resolved here."""
    sizes = [int(size) for size in shape]
    if -1 in sizes:
        product_of_others = -math.prod(sizes)
        sizes[sizes.index(-1)] = math.prod(int(size) for size in self.shape) // product_of_others
    return op.Reshape(self, _ints(*sizes))


_aten = torch.ops.aten

TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    _aten.scaled_dot_product_attention.default: attention,
    _aten.linear.default: linear,
    _aten.group_norm.default: group_norm,
    _aten.view.default: reshape,
    _aten.reshape.default: reshape,
}
"""For torch.onnx.export's `custom_translation_table`."""
