from __future__ import annotations

import numpy as np
import pytest

from tests.graphs import graph, operators, run
from turbo_webnn.export.passes.drop_neutral import DropNeutral

X = np.array([1.0, -2.0, 3.0], np.float32)


@pytest.mark.parametrize(
    "neutral",
    [
        "n = Mul(a, one)",
        "n = Mul(one, a)",
        "n = Div(a, one)",
        "n = Add(zero, a)",
        "n = Sub(a, zero)",
        "n = Cast <to=1> (a)",
    ],
)
def test_what_changes_nothing_goes(neutral: str) -> None:
    model = graph(
        "g (float[3] x) => (float[3] y) <float one = {1}, float zero = {0}> { a = Relu(x) " + neutral + " y = Neg(n) }"
    )
    assert DropNeutral()(model).modified
    assert operators(model) == ["Relu", "Neg"]
    np.testing.assert_array_equal(run(model, x=X)[0], -np.maximum(X, 0))


@pytest.mark.parametrize(
    "needed",
    [
        "n = Div(one, a)",
        "n = Sub(zero, a)",
        "n = Mul(a, two)",
        "n = Add(a, one)",
        "h = Cast <to=10> (a) n = Cast <to=1> (h)",
    ],
)
def test_what_changes_something_stays(needed: str) -> None:
    model = graph(
        "g (float[3] x) => (float[3] y) <float one = {1}, float zero = {0}, float two = {2}> { a = Exp(x) "
        + needed
        + " y = Neg(n) }"
    )
    before = operators(model)
    assert not DropNeutral()(model).modified
    assert operators(model) == before


def test_a_neutral_constant_that_broadcasts_stays() -> None:
    model = graph("g (float[1] x) => (float[3] y) <float[3] ones = {1,1,1}> { a = Relu(x) y = Mul(a, ones) }")
    assert not DropNeutral()(model).modified


def test_an_output_keeps_its_name() -> None:
    model = graph("g (float[3] x) => (float[3] y) <float one = {1}> { a = Relu(x) y = Mul(a, one) }")
    DropNeutral()(model)
    assert operators(model) == ["Relu"]
    assert [value.name for value in model.graph.outputs] == ["y"]
    np.testing.assert_array_equal(run(model, x=X)[0], np.maximum(X, 0))
