from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator

from tests.graphs import constant, graph, operators, place, run
from turbo_webnn.export.overflows import Overflows
from turbo_webnn.export.passes.lower_precision import LowerPrecision

HALF = np.float16


def test_weights_values_and_boundary_become_float16() -> None:
    model = graph("g (float[1,3] x, float[3,2] w) => (float[1,2] y) { m = MatMul(x, w) y = Relu(m) }")
    w = np.array([[1, 2], [3, 4], [5, 6]], np.float32) / 7
    constant(model, "w", w)
    LowerPrecision()(model)
    assert operators(model) == ["MatMul", "Relu"]
    values = [*model.graph.inputs, *model.graph.outputs, model.graph.initializers["w"]]
    assert [value.dtype for value in values] == [ir.DataType.FLOAT16] * 3
    x = np.array([[1, 2, 3]], HALF)
    np.testing.assert_allclose(run(model, x=x)[0], (x @ w.astype(HALF)).astype(HALF), rtol=1e-3)


def test_the_time_embedding_keeps_its_angles() -> None:
    model = graph(
        """g (float[1] t, float[4] freqs) => (float[8] y)
        { a = Mul(t, freqs) s = Sin(a) c = Cos(a) k = Concat <axis=0> (s, c) y = Relu(k) }"""
    )
    freqs = np.array([1.0, 0.7, 0.31, 0.1], np.float32)
    constant(model, "freqs", freqs)
    LowerPrecision()(model)
    assert sorted(operators(model)) == ["Cast", "Cast", "Cast", "Concat", "Cos", "Mul", "Relu", "Sin"]
    got = run(model, t=np.array([999], HALF))[0]
    angles = np.float32(999) * freqs
    expected = np.maximum(np.concatenate([np.sin(angles), np.cos(angles)]), 0)
    # in float16 alone the angle 999 * 0.7 would be off by up to 0.25
    np.testing.assert_allclose(got, expected, atol=1e-3)


def test_instance_normalization_stays_between_casts() -> None:
    model = graph(
        """g (float[1,2,8] x, float[2] s, float[2] b) => (float[1,2,8] y)
        { n = InstanceNormalization <epsilon=0.00001> (x, s, b) y = Relu(n) }"""
    )
    constant(model, "s", np.ones(2, np.float32))
    constant(model, "b", np.zeros(2, np.float32))
    LowerPrecision()(model)
    assert operators(model) == ["Cast", "InstanceNormalization", "Cast", "Relu"]
    # squares of these overflow float16
    x = np.random.default_rng(0).normal(0, 2000, (1, 2, 8)).astype(HALF)
    wide = x.astype(np.float32)
    normal = (wide - wide.mean(-1, keepdims=True)) / np.sqrt(wide.var(-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(run(model, x=x)[0], np.maximum(normal, 0), atol=2e-3)


def test_one_cast_serves_all_readers_and_outputs_of_kept_parts_are_cast() -> None:
    model = graph("g (float[2] x) => (float[2] y, float[2] z) { a = Relu(x) y = Sin(a) z = Cos(a) }")
    LowerPrecision()(model)
    assert [value.name for value in model.graph.outputs] == ["y", "z"]
    assert {value.dtype for value in model.graph.outputs} == {ir.DataType.FLOAT16}
    assert operators(model).count("Cast") == 3
    x = np.array([1, 2], HALF)
    np.testing.assert_allclose(run(model, x=x)[0], np.sin([1, 2]), atol=1e-3)


def test_integers_and_the_scales_of_a_resize_keep_their_types() -> None:
    model = graph(
        """g (float[1,1,2,2] x, int32[1] i) => (float[1,1,4,4] y, int32[1] j) <float[4] s = {1, 1, 2, 2}>
        { r = Relu(x)
          y = Resize <mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"> (r, , s)
          j = Neg(i) }"""
    )
    LowerPrecision()(model)
    assert model.graph.initializers["s"].dtype == ir.DataType.FLOAT
    assert model.graph.inputs[1].dtype == ir.DataType.INT32
    y, j = run(model, x=np.array([[[[1, 2], [3, 4]]]], HALF), i=np.array([3], np.int32))
    np.testing.assert_array_equal(y[0, 0, 0], [1, 1, 2, 2])
    assert j == [-3]


def test_truth_becomes_numbers_of_the_new_type() -> None:
    model = graph(
        "g (float[3] x, int32[3] a, int32[3] b) => (float[3] y) { e = Equal(a, b) c = Cast <to=1> (e) y = Mul(x, c) }"
    )
    LowerPrecision()(model)
    assert operators(model) == ["Equal", "Cast", "Mul"]
    a, b = np.array([1, 2, 3], np.int32), np.array([1, 5, 3], np.int32)
    np.testing.assert_array_equal(run(model, x=np.array([4, 5, 6], HALF), a=a, b=b)[0], [4, 0, 6])


def test_a_kept_module_and_what_reads_it_stay_wide_between_one_cast_each_way() -> None:
    model = graph(
        """g (float[1,2] x, float[2,2] w, float[2,2] v, int64[2] s) => (float[2,1] y, float[2,1] z)
        { a = Neg(x) b = MatMul(a, w) c = Reshape(b, s) d = Transpose(c) e = MatMul(d, v)
          f = Tanh(e) y = Transpose(f) g = Tanh(c) z = Neg(g) }"""
    )
    constant(model, "w", np.full((2, 2), 300, np.float32))
    constant(model, "v", np.full((2, 2), 1e-5, np.float32))
    constant(model, "s", np.array([2, 1], np.int64))
    place(model, "in", "up.conv", "norm", "norm", "norm.linear", "act", "act", "other", "other")
    LowerPrecision(Overflows({"up.conv": 1e5}))(model)
    # the sum of 120000 goes through the views in float32 to its two readers, and only what they give is cast
    assert operators(model) == [
        *("Neg", "Cast", "MatMul", "Reshape", "Transpose", "MatMul"),
        *("Cast", "Tanh", "Transpose", "Tanh", "Cast", "Neg"),
    ]
    assert {model.graph.initializers[name].dtype for name in "wv"} == {ir.DataType.FLOAT}
    y, z = run(model, x=np.array([[-200, -200]], HALF))
    np.testing.assert_allclose(y.ravel(), np.tanh([2.4, 2.4]), rtol=1e-3)
    np.testing.assert_array_equal(z.ravel(), [-1, -1])


def test_without_knowing_the_module_the_same_graph_overflows() -> None:
    plain, kept = (
        graph("g (float[1,2] x, float[2,2] w) => (float[1,2] y) { b = MatMul(x, w) y = Softmax(b) }") for _ in range(2)
    )
    for model in (plain, kept):
        constant(model, "w", np.array([[300, 300], [300, 299]], np.float32))
        place(model, "up.conv", "norm")
    x = np.array([[200, 200]], HALF)
    LowerPrecision()(plain)
    assert np.isnan(_run_in_its_types(plain, x=x)).all()
    LowerPrecision(Overflows({"up.conv": 1e5}))(kept)
    assert operators(kept) == ["Cast", "MatMul", "Softmax", "Cast"]
    np.testing.assert_array_equal(_run_in_its_types(kept, x=x), [[1, 0]])


def _run_in_its_types(model: ir.Model, **inputs: np.ndarray) -> np.ndarray:
    """What the graph's first output is by ONNX's reference: onnxruntime's CPU computes float16 in float32."""
    with np.errstate(all="ignore"):
        outputs: Any = ReferenceEvaluator(ir.to_proto(model)).run(None, inputs)
    return np.asarray(outputs[0])


def test_a_module_inside_a_kept_one_is_judged_by_itself() -> None:
    model = graph("g (float[2] x) => (float[2] y) { a = Relu(x) y = Neg(a) }")
    place(model, "block.act", "block")
    LowerPrecision(Overflows({"block": 1e5}))(model)
    assert operators(model) == ["Relu", "Cast", "Neg", "Cast"]


def test_a_module_that_overflows_on_the_way_gives_its_results_to_narrow_readers() -> None:
    model = graph("g (float[2,2] x) => (float[2,2] y) { a = MatMul(x, x) b = Softmax(a) y = Neg(b) }")
    place(model, "attention", "attention", "out")
    LowerPrecision(Overflows(inside={"attention": 1e5}))(model)
    assert operators(model) == ["Cast", "MatMul", "Softmax", "Cast", "Neg"]
    x = np.array([[300, 200], [300, 300]], HALF)  # scores of 150000 and 120000
    np.testing.assert_array_equal(_run_in_its_types(model, x=x), [[-1, 0], [-1, 0]])
