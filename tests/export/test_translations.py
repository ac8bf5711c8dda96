"""Each of our own translations against torch, on modules that hold nothing else."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from onnx_ir.passes import common
from torch import nn

from tests.graphs import run
from turbo_webnn.export.translations import TRANSLATIONS


def exported(module: nn.Module, *inputs: torch.Tensor) -> Any:
    program = torch.onnx.export(
        module, inputs, dynamo=True, optimize=False, verbose=False, custom_translation_table=TRANSLATIONS
    )
    assert program is not None
    common.RemoveUnusedNodesPass()(program.model)
    return program.model


class _Attention(nn.Module):  # type: ignore[misc]  # torch is untyped here
    def __init__(self, **how: Any) -> None:
        super().__init__()
        self.how = how

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(q, k, v, **self.how)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"is_causal": True},
        {"scale": 0.3},
        {"attn_mask": torch.tensor([[0.0, -1.0, 2.0, 0.5]]).expand(4, 4)},
        {"attn_mask": torch.ones(4, 4, dtype=torch.bool).tril()},
    ],
    ids=["plain", "causal", "scale", "added mask", "boolean mask"],
)
def test_attention(how: dict[str, Any]) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 4, 8) for _ in range(3))
    model = exported(_Attention(**how), q, k, v)
    counts = Counter(node.op_type for node in model.graph)
    assert counts["Softmax"] == 1
    assert not counts.keys() & {"IsNaN", "Shape", "Sqrt", "Not", "Trilu"}
    names = [value.name for value in model.graph.inputs]
    got = run(model, **dict(zip(names, (q.numpy(), k.numpy(), v.numpy()), strict=True)))[0]
    np.testing.assert_allclose(got, _Attention(**how)(q, k, v).numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("module", "shape", "operators"),
    [
        (nn.Linear(6, 5), (2, 6), {"Gemm": 1}),
        (nn.Linear(6, 5), (2, 3, 6), {"MatMul": 1, "Add": 1, "Transpose": 1}),
        (nn.Linear(6, 5, bias=False), (2, 6), {"MatMul": 1, "Transpose": 1}),
        (nn.GroupNorm(2, 6, eps=1e-3), (2, 6, 5), {"InstanceNormalization": 1, "Reshape": 4, "Mul": 1, "Add": 1}),
        (nn.GroupNorm(3, 6), (1, 6, 4, 4), {"InstanceNormalization": 1, "Reshape": 4, "Mul": 1, "Add": 1}),
        (nn.GroupNorm(3, 6, affine=False), (2, 6, 4), {"InstanceNormalization": 1, "Reshape": 2}),
        (nn.Flatten(2), (2, 6, 4, 4), {"Reshape": 1}),
    ],
)
def test_layers(module: nn.Module, shape: tuple[int, ...], operators: dict[str, int]) -> None:
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(shape)
    model = exported(module, x)
    counts = Counter(node.op_type for node in model.graph if node.op_type not in ("Constant", "Identity"))
    assert dict(counts) == operators
    got = run(model, **{model.graph.inputs[0].name: x.numpy()})[0]
    np.testing.assert_allclose(got, module(x).detach().numpy(), atol=2e-6)
