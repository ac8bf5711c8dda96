from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from tests.graphs import constant, graph
from turbo_webnn.export import writer
from turbo_webnn.export.writer import write_chain
from turbo_webnn.models.chain import Chain

WEIGHTS = [np.random.default_rng(seed).normal(size=(32, 32)).astype(np.float32) for seed in range(3)]


def written(folder: Path, links: int = 1) -> Chain:
    """Three products of 4096 bytes of weights each."""
    model = graph(
        """g (float[1,32] x, float[32,32] a, float[32,32] b, float[32,32] c) => (float[1,32] y)
        { p = MatMul(x, a) q = MatMul(p, b) y = MatMul(q, c) }"""
    )
    for name, numbers in zip("abc", WEIGHTS, strict=True):
        constant(model, name, numbers)
    return write_chain(model, [model] * links, folder, "unet/model.onnx", lambda _fraction: None)


@pytest.mark.parametrize(
    ("limit", "names"),
    [
        (1 << 20, ["model.onnx", "model.onnx.data"]),
        (5000, ["model.onnx", *(f"model-0000{number}-of-00003.onnx.data" for number in (1, 2, 3))]),
    ],
)
def test_every_shard_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, names: list[str]) -> None:
    monkeypatch.setattr(writer, "SHARD_BYTES", limit)
    (entry,) = written(tmp_path).graphs
    assert [file.path for file in entry.files] == [f"unet/{name}" for name in names]
    assert {path.name for path in (tmp_path / "unet").iterdir()} == set(names)
    assert all(file.bytes <= limit for file in entry.files)
    x = np.ones((1, 32), np.float32)
    (y,) = onnxruntime.InferenceSession(tmp_path / entry.path).run(None, {"x": x})
    np.testing.assert_allclose(y, x @ WEIGHTS[0] @ WEIGHTS[1] @ WEIGHTS[2], rtol=1e-4)


def test_links_keep_their_shards_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SHARD_BYTES", 5000)
    chain = written(tmp_path, links=2)
    named = [file.path for file in chain.files]
    assert len(named) == len(set(named)) == 8
    assert {tmp_path / path for path in named} == set((tmp_path / "unet").iterdir())
