from __future__ import annotations

import numpy as np
import pytest

from tests.graphs import graph, operators, run
from turbo_webnn.export.passes.merge_views import MergeViews

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("body", "shape", "left"),
    [
        ("a = Reshape(r, s64) v = Reshape(a, s46)", "4,6", ["Reshape"]),
        ("a = Unsqueeze(r, ax) v = Squeeze(a, ax)", "2,3,4", []),
        ("v = Unsqueeze(r, ax)", "1,2,3,4", ["Reshape"]),
        ("v = Flatten <axis=2> (r)", "6,4", ["Reshape"]),
        ("a = Transpose <perm=[2,0,1]> (r) v = Transpose <perm=[1,2,0]> (a)", "2,3,4", []),
        ("a = Transpose <perm=[1,0,2]> (r) v = Transpose <perm=[2,1,0]> (a)", "4,2,3", ["Transpose"]),
        ("a = Unsqueeze(r, ax) v = Transpose <perm=[1,0,2,3]> (a)", "2,1,3,4", ["Reshape"]),
    ],
)
def test_chains_become_one(body: str, shape: str, left: list[str]) -> None:
    text = (
        f"g (float[2,3,4] x) => (float[{shape}] y)"
        "<int64[2] s64 = {6, 4}, int64[2] s46 = {4, 6}, int64[1] ax = {0}>"
        f"{{ r = Relu(x) {body} y = Neg(v) }}"
    )
    before = run(graph(text), x=X)[0]
    model = graph(text)
    assert MergeViews()(model).modified
    assert operators(model) == ["Relu", *left, "Neg"]
    np.testing.assert_array_equal(run(model, x=X)[0], before)


def test_keys_of_attention_need_one_transpose() -> None:
    text = """g (float[1,6,8] x) => (float[1,2,4,6] y) <int64[4] s = {1, 6, 2, 4}>
        { r = Reshape(x, s) t = Transpose <perm=[0,2,1,3]> (r) k = Transpose <perm=[0,1,3,2]> (t) y = Relu(k) }"""
    model = graph(text)
    MergeViews()(model)
    assert operators(model) == ["Reshape", "Transpose", "Relu"]
    x = np.arange(48, dtype=np.float32).reshape(1, 6, 8)
    np.testing.assert_array_equal(run(model, x=x)[0], run(graph(text), x=x)[0])


def test_a_view_that_other_nodes_read_stays_for_them() -> None:
    model = graph(
        """g (float[2,3,4] x) => (float[4,6] y, float[6,4] z) <int64[2] s64 = {6, 4}, int64[2] s46 = {4, 6}>
        { r = Relu(x) a = Reshape(r, s64) b = Reshape(a, s46) y = Neg(b) z = Abs(a) }"""
    )
    MergeViews()(model)
    assert sorted(operators(model)) == ["Abs", "Neg", "Relu", "Reshape", "Reshape"]
    y, z = run(model, x=X)
    np.testing.assert_array_equal(y, -X.reshape(4, 6))
    np.testing.assert_array_equal(z, X.reshape(6, 4))


def test_a_lone_view_and_one_from_input_to_output_stay() -> None:
    lone = graph("g (float[2,3,4] x) => (float[6,4] y) <int64[2] s = {6, 4}> { a = Reshape(x, s) y = Neg(a) }")
    assert not MergeViews()(lone).modified
    straight = graph("g (float[2,3] x) => (float[2,3] y) <int64[2] s = {2, 3}> { y = Reshape(x, s) }")
    assert not MergeViews()(straight).modified
