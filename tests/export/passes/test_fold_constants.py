from __future__ import annotations

import numpy as np

from tests.graphs import graph, operators, run
from turbo_webnn.export.passes.fold_constants import FoldConstants


def test_shape_arithmetic_and_identities_go() -> None:
    model = graph(
        """g (float[2,6] x) => (float[2,3,2] y)
        <int64[1] three = {3}, int64[1] ax = {0}, int64[1] all = {-1}>
        { d = Shape(x) n = Gather <axis=0> (d, ax) s = Concat <axis=0> (n, three, all) r = Reshape(x, s)
          i = Identity(r) y = Relu(i) }"""
    )
    FoldConstants()(model)
    assert operators(model) == ["Reshape", "Relu"]
    x = np.arange(12, dtype=np.float32).reshape(2, 6)
    np.testing.assert_array_equal(run(model, x=x)[0], x.reshape(2, 3, 2))
    assert all(value.shape is not None and value.shape.is_static() for node in model.graph for value in node.outputs)


def test_each_layers_own_mask_becomes_one_initializer() -> None:
    model = graph(
        """g (float[4] x) => (float[4] y) <int64 zero = {0}, int64 four = {4}, int64 one = {1}, int64 two = {2},
            float none = {0}, float masked = {-10000}>
        { r = Range(zero, four, one) b = Less(r, two) m = Where(b, none, masked)
          s = Range(zero, four, one) c = Less(s, two) n = Where(c, none, masked)
          a = Add(x, m) y = Add(a, n) }"""
    )
    FoldConstants()(model)
    assert operators(model) == ["Add", "Add"]
    masks = [value for value in model.graph.initializers.values() if value.uses()]
    assert len(masks) == 1
    np.testing.assert_array_equal(run(model, x=np.zeros(4, np.float32))[0], [0, 0, -20000, -20000])
