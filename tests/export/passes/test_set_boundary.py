from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tests.graphs import graph, operators, run
from turbo_webnn.export.passes.set_boundary import SetBoundary
from turbo_webnn.models.layouts.layout import Port

HALF = np.float16


def boundary(model: ir.Model) -> list[tuple[str | None, str, tuple[int, ...]]]:
    values = [*model.graph.inputs, *model.graph.outputs]
    return [(value.name, str(value.dtype), tuple(value.shape.numpy()) if value.shape else ()) for value in values]


def test_names_change_and_nothing_else() -> None:
    model = graph("g (float[3] x, float[3] z) => (float[3] y) { a = Neg(x) y = Add(a, z) }")
    SetBoundary({"x": Port("sample"), "y": Port("hidden_states.11")})(model)
    assert boundary(model) == [("sample", "FLOAT", (3,)), ("z", "FLOAT", (3,)), ("hidden_states.11", "FLOAT", (3,))]
    assert operators(model) == ["Neg", "Add"]
    ones = np.ones(3, np.float32)
    np.testing.assert_array_equal(run(model, sample=ones, z=3 * ones)[0], 2 * ones)


def test_types_are_cast_once_at_the_boundary() -> None:
    model = graph("g (float16[3] x, int32[2] i) => (float16[3] y, int32[2] j) { a = Neg(x) y = Add(a, x) j = Neg(i) }")
    wanted = {"x": "float32", "i": "int64", "y": "float32", "j": "int64"}
    SetBoundary({name: Port(name, dtype) for name, dtype in wanted.items()})(model)
    assert [dtype for _, dtype, _ in boundary(model)] == ["FLOAT", "INT64", "FLOAT", "INT64"]
    assert sorted(operators(model)) == ["Add", "Cast", "Cast", "Cast", "Cast", "Neg", "Neg"]
    y, j = run(model, x=np.array([0.1, 1, 2], np.float32), i=np.array([5, -7]))
    assert (str(y.dtype), str(j.dtype)) == ("float32", "int64")
    np.testing.assert_array_equal(y, np.zeros(3))
    np.testing.assert_array_equal(j, [-5, 7])


def test_a_flag_becomes_bool() -> None:
    model = graph("g (int32[2] i) => (int32[2] found) { found = Neg(i) }")
    SetBoundary({"found": Port("found", "bool")})(model)
    assert run(model, i=np.array([0, -1], np.int32))[0].tolist() == [False, True]


def test_a_timestep_without_dimension_reaches_the_angles_unrounded() -> None:
    text = """g (float16[1] t, float16[1] x) => (float16[1] y, float16[1] z)
        { wide = Cast <to = 1> (t) s = Sin(wide) narrow = Cast <to = 10> (s) y = Add(narrow, x) z = Neg(t) }"""
    as_int, as_float = graph(text), graph(text)
    SetBoundary({"t": Port("timestep", "int64")})(as_int)
    assert boundary(as_int)[0] == ("timestep", "INT64", (1,))
    # what read the wide one reads the boundary itself
    assert operators(as_int) == ["Cast", "Cast", "Sin", "Cast", "Add", "Neg"]
    x = np.zeros(1, HALF)
    y, z = run(as_int, timestep=np.array([4099]), x=x)  # float16 has 4096 and 4100
    np.testing.assert_allclose(y, np.sin(4099), atol=1e-3)
    assert z == [HALF(-4100)]

    SetBoundary({"t": Port("timestep", "float32", scalar=True)})(as_float)
    assert boundary(as_float)[0] == ("timestep", "FLOAT", ())
    assert operators(as_float) == ["Reshape", "Cast", "Sin", "Cast", "Add", "Neg"]
    np.testing.assert_allclose(run(as_float, timestep=np.array(0.1, np.float32), x=x)[0], np.sin([0.1]), atol=1e-3)


def test_without_ports_the_graph_is_left() -> None:
    model = graph("g (float[3] x) => (float[3] y) { y = Neg(x) }")
    assert not SetBoundary({})(model).modified
    assert boundary(model) == [("x", "FLOAT", (3,)), ("y", "FLOAT", (3,))]
