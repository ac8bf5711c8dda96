"""Graph outputs are nodes' own: what would leave one without a node stays as it is, and keeps its numbers."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.graphs import constant, graph, operators, run
from turbo_webnn.export.passes.drop_neutral import DropNeutral
from turbo_webnn.export.passes.fold_weight_layout import FoldWeightLayout
from turbo_webnn.export.passes.merge_views import MergeViews

X = np.array([[1.0, -2.0, 3.0]], np.float32)


@pytest.mark.parametrize(
    ("rewrite", "body"),
    [
        (DropNeutral(), "a = Relu(x) y = Mul(one, a)"),
        (MergeViews(), "a = Relu(x) y = Reshape(a, s)"),
    ],
)
def test_one_value_is_not_two_outputs(rewrite: ir.passes.InPlacePass, body: str) -> None:
    model = graph(
        f"g (float[1,3] x) => (float[1,3] a, float[1,3] y) <float one = {{1}}, int64[2] s = {{1, 3}}> {{ {body} }}"
    )
    before = operators(model)
    assert not rewrite(model).modified
    assert operators(model) == before
    for got in run(model, x=X):
        np.testing.assert_array_equal(got, np.maximum(X, 0))


def test_a_weight_is_no_output() -> None:
    model = graph("g (float[1,3] x, float[2,3] w) => (float[1,3] y, float[3,2] t) { y = Relu(x) t = Transpose(w) }")
    w = np.arange(6, dtype=np.float32).reshape(2, 3)
    constant(model, "w", w)
    assert not FoldWeightLayout()(model).modified
    np.testing.assert_array_equal(run(model, x=X)[1], w.T)
