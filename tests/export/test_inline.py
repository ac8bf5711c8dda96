"""One file with its weights inside: what onnx reads, and the same each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.graphs import constant, graph
from tests.refusal import refusal
from turbo_webnn.export import inline
from turbo_webnn.export.inline import save_inline
from turbo_webnn.export.weights import as_lazy_weight

WEIGHT = np.random.default_rng(0).normal(size=(300, 70)).astype(np.float32)


def made() -> ir.Model:
    """Weights at 84000, 42000 and 16 bytes."""
    model = graph(
        """g (float[2,300] x, float[300,70] w, float[4] few, float16[300,70] half) => (float[2,70] y, float16[2,70] z)
        { y = MatMul(x, w) s = Cast <to = 10> (x) z = MatMul(s, half) n = Neg(few) }"""
    )
    constant(model, "w", WEIGHT)
    constant(model, "few", np.arange(4, dtype=np.float32))
    constant(model, "half", WEIGHT.astype(np.float16))
    weight = model.graph.initializers["w"]
    assert weight.const_value is not None
    weight.const_value = as_lazy_weight(weight.const_value).scaled(2.0)
    return model


def test_the_file_is_what_onnx_would_write(tmp_path: Path) -> None:
    model, told = made(), list[float]()
    save_inline(model, tmp_path / "model.onnx", 1024, told.append)
    onnx.checker.check_model(str(tmp_path / "model.onnx"), full_check=True)
    read = onnx.load(tmp_path / "model.onnx")
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in read.graph.initializer}
    np.testing.assert_array_equal(held["w"], 2 * WEIGHT)
    np.testing.assert_array_equal(held["half"], WEIGHT.astype(np.float16))
    np.testing.assert_array_equal(held["few"], np.arange(4))
    assert told == [0.5, 1.0]
    # the initializers in another order are all that differs from a file written in one piece
    plain = ir.to_proto(model)
    assert {each.name for each in plain.graph.initializer} == {each.name for each in read.graph.initializer}
    for proto in (plain, read):
        del proto.graph.initializer[:]
        del proto.graph.value_info[:]
    assert plain == read
    assert list(model.graph.initializers) == ["few", "w", "half"]


def test_two_files_are_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        save_inline(made(), tmp_path / name, 1024, lambda _done: None)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_more_than_a_message_holds_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inline, "LARGEST_FILE", 100_000)
    said = refusal(save_inline, made(), tmp_path / "model.onnx", 1024, lambda _done: None)
    assert "keeps all in one file of at most 100000; give a smaller --precision, or --layout webnn" in said
    assert not (tmp_path / "model.onnx").exists()
