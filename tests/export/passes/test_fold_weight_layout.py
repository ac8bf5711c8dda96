from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tests.graphs import constant, graph, operators, run
from turbo_webnn.export.passes.fold_weight_layout import FoldWeightLayout
from turbo_webnn.export.weights import LazyWeight

W = np.arange(6, dtype=np.float32).reshape(2, 3)
X = np.array([[1, 2, 3]], np.float32)


def test_a_transposed_weight_is_another_view_of_it() -> None:
    model = graph(
        "g (float[1,3] x, float[2,3] w) => (float[1,2] y) { t = Transpose <perm=[1,0]> (w)  y = MatMul(x, t) }"
    )
    constant(model, "w", W)
    assert FoldWeightLayout()(model).modified
    assert operators(model) == ["MatMul"]
    weight = model.graph.node(0).inputs[1]
    assert weight is not None
    assert isinstance(weight.const_value, LazyWeight)
    np.testing.assert_array_equal(run(model, x=X)[0], X @ W.T)


def test_chains_fold_whole() -> None:
    model = graph(
        """g (float[3,2,1] x, float[6] w) => (float[3,2,1] y)
        <int64[2] s = {2, 3}, int64[1] axes = {2}>
        { r = Reshape(w, s)  t = Transpose <perm=[1,0]> (r)  u = Unsqueeze(t, axes)  y = Add(x, u) }"""
    )
    constant(model, "w", W.reshape(-1))
    FoldWeightLayout()(model)
    # a transpose of what was reshaped is left to onnxruntime; what follows it has no weight to fold into
    assert operators(model) == ["Transpose", "Unsqueeze", "Add"]
    x = np.zeros((3, 2, 1), np.float32)
    np.testing.assert_array_equal(run(model, x=x)[0], W.T[:, :, None])


def test_computed_values_and_integers_are_left_alone() -> None:
    model = graph("g (float[2,3] x) => (float[3,2] y) { y = Transpose <perm=[1,0]> (x) }")
    assert not FoldWeightLayout()(model).modified
    indices = graph("g (int64[2,3] i) => (int64[3,2] y) { y = Transpose <perm=[1,0]> (i) }")
    constant(indices, "i", np.zeros((2, 3), np.int64))
    assert not FoldWeightLayout()(indices).modified


def test_a_folded_weight_keeps_its_type() -> None:
    model = graph("g (float16[1,3] x, float16[2,3] w) => (float16[1,2] y) { t = Transpose(w)  y = MatMul(x, t) }")
    constant(model, "w", W.astype(np.float16))
    FoldWeightLayout()(model)
    assert operators(model) == ["MatMul"]
    weight = model.graph.node(0).inputs[1]
    assert weight is not None
    assert weight.dtype == ir.DataType.FLOAT16
    np.testing.assert_array_equal(run(model, x=X.astype(np.float16))[0], (X @ W.T).astype(np.float16))
