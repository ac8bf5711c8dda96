"""A graph cut into a chain: where, and that nothing is lost."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.graphs import constant, graph, operators, run
from turbo_webnn.export.chunks import split_graph
from turbo_webnn.models.byte_size import parse_bytes
from turbo_webnn.models.errors import RequestError

RNG = np.random.default_rng(3)

SQUARE = 4 * 4 * 4
"""Bytes of a float[4,4]."""


def weighted(text: str, *names: str) -> ir.Model:
    """The graph, with random float[4,4] for each of `names`."""
    model = graph(text)
    for name in names:
        constant(model, name, RNG.normal(size=(4, 4)).astype(np.float32))
    return model


def boundary(link: ir.Model) -> tuple[list[str | None], list[str | None]]:
    return [value.name for value in link.graph.inputs], [value.name for value in link.graph.outputs]


def run_chain(links: list[ir.Model], **inputs: np.ndarray) -> dict[str, np.ndarray]:
    """What the links give, each fed with exactly its inputs."""
    values = dict(inputs)
    for link in links:
        onnx.checker.check_model(ir.to_proto(link), full_check=True)
        names, given = boundary(link)
        values |= zip(map(str, given), run(link, **{str(name): values[str(name)] for name in names}), strict=True)
    return values


ROW = """g (float[1,4] x, float[4,4] a, float[4,4] b, float[4,4] c, float[4,4] d) => (float[1,4] y)
{ p = MatMul(x, a) q = MatMul(p, b) r = MatMul(q, c) y = MatMul(r, d) }"""

X = RNG.normal(size=(1, 4)).astype(np.float32)


def test_links_are_as_few_and_as_even_as_they_can_be() -> None:
    model = weighted(ROW, *"abcd")
    links = split_graph(model, 3 * SQUARE)
    assert [operators(link) for link in links] == [["MatMul", "MatMul"], ["MatMul", "MatMul"]]
    assert [boundary(link) for link in links] == [(["x"], ["q"]), (["q"], ["y"])]
    assert [list(link.graph.initializers) for link in links] == [["a", "b"], ["c", "d"]]
    np.testing.assert_array_equal(run_chain(links, x=X)["y"], run(model, x=X)[0])


def test_a_graph_within_the_limit_stays_one() -> None:
    model = weighted(ROW, *"abcd")
    assert split_graph(model, 4 * SQUARE) == [model]
    assert split_graph(model, None) == [model]


def test_a_link_reads_inputs_of_the_whole_and_values_of_any_link_before_it() -> None:
    model = weighted(
        """g (float[1,4] x, float[1,4] t, float[4,4] a, float[4,4] b, float[4,4] c) => (float[1,4] early, float[1,4] y)
        { p = MatMul(x, a) early = Add(p, t) q = MatMul(early, b) r = MatMul(q, c) s = Add(r, t) y = Add(s, early) }""",
        *"abc",
    )
    links = split_graph(model, SQUARE)
    assert [boundary(link) for link in links] == [
        (["x"], ["p"]),
        (["p", "t"], ["early", "q"]),
        (["q", "t", "early"], ["y"]),
    ]
    t = RNG.normal(size=(1, 4)).astype(np.float32)
    whole, chain = run(model, x=X, t=t), run_chain(links, x=X, t=t)
    np.testing.assert_array_equal(chain["early"], whole[0])
    np.testing.assert_array_equal(chain["y"], whole[1])


def test_the_cut_is_made_where_few_bytes_cross() -> None:
    model = weighted(
        """g (float[1,4] x, float[4,4] a, float[4,4] b) => (float[1,4] y)
        { p = MatMul(x, a) e = Concat <axis=0> (p, p, p, p) f = Relu(e) m = ReduceMean(f) n = Mul(m, x)
          y = MatMul(n, b) }""",
        *"ab",
    )
    links = split_graph(model, SQUARE)
    assert boundary(links[0])[1] == ["m"]
    np.testing.assert_array_equal(run_chain(links, x=X)["y"], run(model, x=X)[0])


def test_only_floats_of_the_boundary_cross_where_it_can_be_avoided() -> None:
    model = weighted(
        """g (float[1,4] x, float[4,4] a, float[4,4] b) => (float[1,4] y)
        { p = MatMul(x, a) l = Less(p, x) n = Not(l) h = Cast <to = 10> (p) i = Cast <to = 1> (h)
          w = Where(n, i, x) q = MatMul(w, b) y = Relu(q) }""",
        *"ab",
    )
    first, second = split_graph(model, SQUARE)
    assert boundary(first)[1] in (["p"], ["w"])
    assert {value.dtype for value in second.graph.inputs} == {ir.DataType.FLOAT}


def test_a_weight_that_two_links_read_is_in_both_and_counts_in_each() -> None:
    model = weighted(
        """g (float[1,4] x, float[4,4] a, float[4,4] b) => (float[1,4] y)
        { p = MatMul(x, a) q = MatMul(p, b) r = MatMul(q, a) y = MatMul(r, b) }""",
        *"ab",
    )
    links = split_graph(model, SQUARE)
    assert [list(link.graph.initializers) for link in links] == [["a"], ["b"], ["a"], ["b"]]
    np.testing.assert_array_equal(run_chain(links, x=X)["y"], run(model, x=X)[0])


def test_no_weight_is_read() -> None:
    def read() -> ir.TensorProtocol:
        raise AssertionError("a weight was read")

    model = weighted(ROW, *"abcd")
    for name, value in model.graph.initializers.items():
        value.const_value = ir.LazyTensor(read, ir.DataType.FLOAT, ir.Shape([4, 4]), name=name)
    assert len(split_graph(model, SQUARE)) == 4


def test_a_limit_below_one_node_is_refused() -> None:
    model = weighted(ROW, *"abcd")
    model.graph[2].name = "third/MatMul"
    model.graph[0].name = "first/MatMul"
    with pytest.raises(RequestError, match=r"first/MatMul alone reads 64 bytes.*--max-graph-bytes 63; give 64 or more"):
        split_graph(model, SQUARE - 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("450MB", 450_000_000), ("1.2GB", 1_200_000_000), ("1.2 gb", 1_200_000_000), ("5KB", 5000), ("4096", 4096)],
)
def test_sizes_are_read_as_people_write_them(text: str, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "0", "-5MB", "MB", "450 apples", "1e9", "0.1B", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="is no size; give 450MB"):
        parse_bytes(text)
