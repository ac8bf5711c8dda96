"""Each rewrite on a small graph: its operators, its bytes, and its numbers as onnxruntime computes them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
import torch

from tests.export.quantize.bound import bound
from tests.graphs import operators, run
from turbo_webnn.export.quantize import sites
from turbo_webnn.export.quantize.fit import fit
from turbo_webnn.export.quantize.grid import KEPT, Grid
from turbo_webnn.export.quantize.rewrite import QuantizeWeights
from turbo_webnn.models.precision import Form

RANDOM = np.random.default_rng(2)


def numbers(*shape: int) -> np.ndarray:
    return (RANDOM.standard_normal(shape) * 0.1).astype(np.float16)


def rounded(blocks: np.ndarray, grid: Grid) -> np.ndarray:
    """What `blocks` [blocks, numbers] become on `grid`, float32."""
    wide = torch.from_numpy(blocks.astype(np.float32))
    return fit(wide, grid).rounded(wide, grid).numpy()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("grid", "form", "expected"),
    [
        (Grid(4, 32), "qdq", ["DequantizeLinear", "MatMul"]),
        (Grid(4, 32), "nbits", ["MatMulNBits"]),
        (Grid(8, 64), "qdq", ["DequantizeLinear", "MatMul"]),
        (Grid(8, 64), "nbits", ["MatMulNBits"]),
        (Grid(8), "nbits", ["DequantizeLinear", "MatMul"]),  # MatMulNBits has blocks
    ],
)
def test_a_product(grid: Grid, form: Form, expected: list[str]) -> None:
    weight, x = numbers(128, 24), numbers(1, 5, 128)
    model = bound(
        "g (float16[1,5,128] x, float16[128,24] w) => (float16[1,5,24] y) { y = MatMul(x, w) }", weight, turned=True
    )
    assert QuantizeWeights({"w": grid}, form)(model).modified
    assert operators(model) == expected
    assert "w" not in model.graph.initializers
    blocks = weight.T.reshape(-1, grid.block or 128)
    product = x.astype(np.float32) @ rounded(blocks, grid).reshape(24, 128).T
    np.testing.assert_allclose(run(model, x=x)[0], product, atol=2e-3)


@pytest.mark.parametrize(("grid", "axes"), [(Grid(4, 16), (1, 16)), (Grid(8), (0, None))])
def test_a_convolution(grid: Grid, axes: tuple[int, int | None]) -> None:
    weight, x = numbers(6, 32, 3, 3), numbers(1, 32, 5, 5)
    text = "g (float16[1,32,5,5] x, float16[6,32,3,3] w) => (float16[1,6,3,3] y) { y = Conv(x, w) }"
    model = bound(text, weight)
    QuantizeWeights({"w": grid})(model)
    assert operators(model) == ["DequantizeLinear", "Conv"]
    attributes = model.graph[0].attributes
    assert (attributes.get_int("axis"), attributes.get_int("block_size", None)) == axes
    if grid.block is None:
        filters = torch.from_numpy(rounded(weight.reshape(6, -1), grid)).view(weight.shape)
    else:  # blocks of channels, at one place of the filter
        blocks = rounded(weight.transpose(0, 2, 3, 1).reshape(-1, 16), grid)
        filters = torch.from_numpy(blocks).view(6, 3, 3, 32).movedim(-1, 1)
    expected = torch.nn.functional.conv2d(torch.from_numpy(x).float(), filters)
    np.testing.assert_allclose(run(model, x=x)[0], expected, atol=4e-3)


@pytest.mark.parametrize("grid", [Grid(4, 32), Grid(8)])
def test_a_gemm(grid: Grid) -> None:
    weight, x = numbers(24, 64), numbers(3, 64)
    text = "g (float16[3,64] x, float16[24,64] w) => (float16[3,24] y) { y = Gemm<transB=1>(x, w) }"
    model = bound(text, weight)
    QuantizeWeights({"w": grid}, "nbits")(model)
    assert operators(model) == ["DequantizeLinear", "Gemm"]
    expected = x.astype(np.float32) @ rounded(weight.reshape(-1, grid.block or 64), grid).reshape(24, 64).T
    np.testing.assert_allclose(run(model, x=x)[0], expected, atol=2e-3)


def test_a_table_is_gathered_by_rows() -> None:
    table, ids = numbers(40, 32), np.array([[3, 0, 39]], np.int32)
    model = bound("g (int32[1,3] ids, float16[40,32] w) => (float16[1,3,32] y) { y = Gather(w, ids) }", table)
    QuantizeWeights({"w": Grid(8)})(model)
    assert operators(model) == ["Gather", "Cast", "Gather", "Mul"]
    np.testing.assert_allclose(run(model, ids=ids)[0], rounded(table, Grid(8))[ids], atol=5e-4)


@pytest.fixture
def of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sites, "SMALLEST", 1)


@pytest.mark.parametrize("form", ["qdq", "nbits"])
def test_a_product_in_float32_stays_in_float32(form: Form) -> None:
    weight, x = numbers(128, 24).astype(np.float32), numbers(1, 5, 128).astype(np.float32)
    text = "g (float[1,5,128] x, float[128,24] w) => (float[1,5,24] y) { y = MatMul(x, w) }"
    model = bound(text, weight, turned=True)
    QuantizeWeights({"w": Grid(4, 32)}, form)(model)
    product = x @ rounded(weight.T.reshape(-1, 32), Grid(4, 32)).reshape(24, 128).T
    np.testing.assert_allclose(run(model, x=x)[0], product, atol=1e-5)


def test_codes_lie_as_matmulnbits_reads_them(of_any_size: None) -> None:
    # row 0 holds -8…7 twice over, row 1 half of that, negated: scales 1 and 0.5, zero points 0 and -1
    first = np.tile(np.arange(-8, 8), 2).astype(np.float16)
    weight = np.stack([first, -first / 2], axis=1)
    model = bound("g (float16[1,32] x, float16[32,2] w) => (float16[1,2] y) { y = MatMul(x, w) }", weight, turned=True)
    QuantizeWeights({"w": Grid(4, 16)}, "nbits")(model)
    (node,) = model.graph
    codes, scales, zeros = (value.const_value.numpy() for value in node.inputs[1:])  # type: ignore[union-attr]
    assert {name: node.attributes.get_int(name) for name in ("K", "N", "bits", "block_size")} == {
        "K": 32, "N": 2, "bits": 4, "block_size": 16,
    }  # fmt: skip
    assert codes.shape == (2, 2, 8)
    assert codes[0, 0].tolist() == [0x10, 0x32, 0x54, 0x76, 0x98, 0xBA, 0xDC, 0xFE]  # the first of two is low
    assert codes[1, 1].tolist() == [0xEF, 0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0x01]
    assert scales.tolist() == [[1, 1], [0.5, 0.5]]
    assert zeros.tolist() == [[0x88], [0x77]]
    x = numbers(1, 32)
    np.testing.assert_allclose(run(model, x=x)[0], x.astype(np.float32) @ weight, atol=2e-3)


def test_codes_lie_as_dequantize_linear_reads_them(of_any_size: None) -> None:
    weight = np.tile(np.arange(-8, 8), 2).astype(np.float16)[:, None] * np.array([1, 0.5], np.float16)
    model = bound("g (float16[1,32] x, float16[32,2] w) => (float16[1,2] y) { y = MatMul(x, w) }", weight, turned=True)
    QuantizeWeights({"w": Grid(4, 16)})(model)
    codes, scales, zeros = (value.const_value for value in model.graph[0].inputs)  # type: ignore[union-attr]
    assert [tensor.dtype for tensor in (codes, scales, zeros)] == [  # type: ignore[union-attr]
        ir.DataType.INT4, ir.DataType.FLOAT16, ir.DataType.INT4,
    ]  # fmt: skip
    assert codes.tobytes()[:4] == bytes([0x88, 0x99, 0xAA, 0xBB])  # type: ignore[union-attr]
    assert scales.numpy().tolist() == [[1, 0.5], [1, 0.5]]  # type: ignore[union-attr]
    assert model.graph.opset_imports[""] == 21


@pytest.mark.parametrize(
    ("body", "grids"),
    [
        ("y = MatMul(x, w)", {}),
        ("y = MatMul(x, w)", {"w": KEPT}),
        ("m = MatMul(x, w) n = MatMul(x, w) y = Add(m, n)", {"w": Grid(4, 32)}),  # two nodes read it
        ("h = Add(w, w) y = MatMul(x, h)", {"w": Grid(4, 32)}),  # no product reads it
    ],
)
def test_other_weights_stay(body: str, grids: dict[str, Grid]) -> None:
    model = bound(
        f"g (float16[1,64] x, float16[64,24] w) => (float16[1,24] y) {{ {body} }}", numbers(64, 24), turned=True
    )
    before = operators(model)
    assert not QuantizeWeights(grids)(model).modified
    assert operators(model) == before
    assert model.graph.opset_imports[""] == 20
