from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx.parser
import onnxruntime
import pytest

from tests.refusal import refusal
from tests.runtime.conftest import MakeBundle
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.runtime.bench.example import arrays, input_specs
from turbo_webnn.runtime.ort.fusing import fuse_attention, fuse_file
from turbo_webnn.runtime.ort.sessions import Session, Settings

# Two heads of width 4: five tokens ask three.
GRAPH = """
<ir_version: 10, opset_import: ["" : 20]>
attention (float[2,5,8] q, float[2,3,8] k, float[2,3,8] v) => (float[2,5,8] y$outputs)
<
  int64[4] split_q = {2, 5, 2, 4}, int64[4] split_k = {2, 3, 2, 4}, int64[3] whole = {2, 5, 8},
  float[1] mask = {0.5},
  float[2,5,2,4] q4, float[2,3,2,4] k4, float[2,3,2,4] v4
>
{
  q4 = Reshape(q, split_q)
  qt = Transpose<perm = [0, 2, 1, 3]>(q4)
  k4 = Reshape(k, split_k)
  kt = Transpose<perm = $perm>(k4)
  v4 = Reshape(v, split_k)
  vt = Transpose<perm = [0, 2, 1, 3]>(v4)
  $scores
  weights = Softmax<axis = -1>(scores)
  weighted = MatMul(weights, vt)
  joined = Transpose<perm = [0, 2, 1, 3]>(weighted)
  y = Reshape(joined, whole)
}
"""
PLAIN = "scores = MatMul(qt, kt)"


def parsed(scores: str = PLAIN, outputs: str = "", perm: str = "[0, 2, 3, 1]") -> onnx.ModelProto:
    text = GRAPH.replace("$scores", scores).replace("$outputs", outputs).replace("$perm", perm)
    return onnx.parser.parse_model(text)


def run(model: onnx.ModelProto) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    random = np.random.default_rng(2)
    feeds = {
        value.name: random.standard_normal([dim.dim_value for dim in value.type.tensor_type.shape.dim], np.float32)
        for value in model.graph.input
    }
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    output: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = session.run(["y"], feeds)[0]
    return output


def test_an_attention_becomes_one_node() -> None:
    model = parsed()
    expected = run(model)
    assert fuse_attention(model) == 1
    (node,) = model.graph.node
    assert (node.domain, node.op_type, list(node.input)) == ("com.microsoft", "MultiHeadAttention", ["q", "k", "v"])
    assert {held.name: onnx.helper.get_attribute_value(held) for held in node.attribute} == {
        "num_heads": 2,
        "scale": 1.0,
    }
    np.testing.assert_allclose(run(model), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "other",
    [
        {"scores": "bare = MatMul(qt, kt)  scores = Add(bare, mask)"},
        {"outputs": ", float[2,2,5,3] weights"},
        {"outputs": ", float[2,2,5,4] qt"},
        {"scores": "turned = Transpose<perm = [0, 1, 3, 2]>(kt)  scores = MatMul(qt, turned)", "perm": "[0, 2, 1, 3]"},
    ],
)
def test_what_is_another_thing_is_left(other: dict[str, str]) -> None:
    model = parsed(**other)
    before = model.SerializeToString()
    assert fuse_attention(model) == 0
    assert model.SerializeToString() == before


def test_a_real_unet_computes_the_same(tiny_fp32: Path) -> None:
    bundle = Bundle.open(tiny_fp32)
    chain = bundle.chain("unet")
    path = bundle.path(chain.graphs[0])
    plain, after = onnx.load(path, load_external_data=False), onnx.load_from_string(fuse_file(path))
    attentions = sum(node.op_type == "MultiHeadAttention" for node in after.graph.node)
    assert attentions == sum(node.op_type == "Softmax" for node in plain.graph.node) > 0
    assert len(after.graph.node) == len(plain.graph.node) - 10 * attentions
    inputs = arrays(input_specs(chain))
    expected = Session(bundle, "unet").run(inputs)["out_sample"]
    drawn = Session(bundle, "unet", provider=Settings("cpu", fuse=True)).run(inputs)["out_sample"]
    np.testing.assert_allclose(drawn, expected, rtol=1e-3, atol=1e-4)


def test_without_onnx_it_is_told_what_to_do(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, ids = make_bundle(), {"input_ids": np.zeros((1, 8), np.int32)}
    monkeypatch.setitem(sys.modules, "onnx", None)
    said = refusal(Session(bundle, "text_encoder", provider=Settings("cpu")).run, ids)
    assert said.endswith("is missing; pip install onnx, or run with --no-fuse")
    assert Session(bundle, "text_encoder", provider=Settings("cpu", fuse=False)).run(ids)
