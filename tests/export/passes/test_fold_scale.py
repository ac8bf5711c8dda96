from __future__ import annotations

import numpy as np
import pytest

from tests.graphs import constant, graph, operators, run
from turbo_webnn.export.passes.fold_scale import FoldScale

W = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
B = np.array([0.5, -0.5], np.float32)
X = np.array([[1, -1, 2]], np.float32)


def test_a_scale_moves_through_views_into_weight_and_bias() -> None:
    model = graph(
        """g (float[1,3] x, float[3,2] w, float[2] b) => (float[2,1] y)
        <float half = {0.5}, int64[3] s = {1, 2, 1}, int64[2] f = {2, 1}>
        { m = MatMul(x, w) a = Add(m, b) r = Reshape(a, s) t = Transpose <perm=[0,2,1]> (r) q = Mul(t, half)
          u = Reshape(q, f) y = Relu(u) }"""
    )
    constant(model, "w", W)
    constant(model, "b", B)
    assert FoldScale()(model).modified
    assert operators(model) == ["MatMul", "Add", "Reshape", "Transpose", "Reshape", "Relu"]
    np.testing.assert_allclose(run(model, x=X)[0], np.maximum((X @ W + B) / 2, 0).reshape(2, 1))


def test_a_weight_that_another_node_reads_is_copied() -> None:
    model = graph(
        """g (float[1,3] x, float[3,2] w) => (float[1,2] y) <float two = {2}>
        { m = MatMul(x, w) q = Mul(two, m) n = MatMul(x, w) y = Add(q, n) }"""
    )
    constant(model, "w", W)
    FoldScale()(model)
    assert operators(model) == ["MatMul", "MatMul", "Add"]
    np.testing.assert_allclose(run(model, x=X)[0], 3 * (X @ W))


def test_convolutions_and_gemms_take_it_too() -> None:
    model = graph(
        """g (float[1,3,1,1] x, float[2,3,1,1] w, float[2] b) => (float[1,2,1,1] y) <float two = {2}>
        { c = Conv(x, w, b) q = Mul(c, two) y = Neg(q) }"""
    )
    constant(model, "w", W.T.reshape(2, 3, 1, 1).copy())
    constant(model, "b", B)
    FoldScale()(model)
    assert operators(model) == ["Conv", "Neg"]
    np.testing.assert_allclose(run(model, x=X.reshape(1, 3, 1, 1))[0].reshape(1, 2), -2 * (X @ W + B))


@pytest.mark.parametrize(
    "body",
    [
        "m = MatMul(x, w) q = Mul(m, two) y = Add(q, m)",  # the product is read elsewhere
        "m = MatMul(x, w) r = Relu(m) y = Mul(r, two)",  # not linear in the weight as far as this pass looks
        "m = MatMul(x, w) y = Mul(m, pair)",  # not one number
        "m = MatMul(x, w) c = Add(m, z) y = Mul(c, two)",  # the sum's other side is computed
    ],
)
def test_other_products_stay(body: str) -> None:
    model = graph(
        "g (float[1,3] x, float[3,2] w, float[1,2] z) => (float[1,2] y) <float two = {2}, float[2] pair = {2, 3}> {"
        + body
        + "}"
    )
    constant(model, "w", W)
    before = operators(model)
    assert not FoldScale()(model).modified
    assert operators(model) == before
