"""Graphs as every judgement reads them: their weights stay where they are, and that is in the graph's own folder."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from tests.refusal import refusal
from tests.runtime.conftest import MakeBundle, make_bundle
from turbo_webnn import Pipeline
from turbo_webnn.models.bundle import Bundle, describe, write_manifest
from turbo_webnn.models.chain import Graph
from turbo_webnn.runtime.webnn.graph import read_graph
from turbo_webnn.runtime.webnn.weightless import read_weightless

__all__ = ["make_bundle"]

NUMBERS = np.arange(2048, dtype=np.float32)


def graph(folder: Path, location: str, *, kind: int = TensorProto.FLOAT, offset: str = "0", dims: int = 2048) -> Path:
    """A graph that adds numbers which lie at `location`."""
    weight = TensorProto(name="w", data_type=kind, dims=[dims], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": offset, "length": str(NUMBERS.nbytes)}.items():
        weight.external_data.add(key=key, value=value)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2048]) for name in "xy"]
    made = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight])
    path = folder / "model.onnx"
    path.write_bytes(
        helper.make_model(made, ir_version=10, opset_imports=[helper.make_opsetid("", 20)]).SerializeToString()
    )
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for a graph, with numbers in it, beside it, and linked from beside it."""
    folder = tmp_path / "bundle" / "unet"
    folder.mkdir(parents=True)
    for path in (folder / "model.onnx.data", folder.parent / "beside", tmp_path / "secret"):
        NUMBERS.tofile(path)
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "deep").symlink_to(tmp_path)
    return folder


def test_weights_beside_a_graph_are_read(folder: Path) -> None:
    weightless = read_weightless(graph(folder, "model.onnx.data"))
    assert [(shard.name, shard.bytes) for shard in weightless.shards] == [("model.onnx.data", NUMBERS.nbytes)]
    read_graph(weightless.path)


@pytest.mark.parametrize("location", ["../beside", "../../secret", "SECRET", "link", "deep/secret", "./../../secret"])
def test_weights_outside_of_the_folder_are_not(folder: Path, location: str) -> None:
    secret = folder.parent.parent / "secret"
    path = graph(folder, location.replace("SECRET", str(secret)))
    said = refusal(read_weightless, path)
    assert said.startswith(f"{path} reads ")
    assert said.endswith(", which is outside of its folder; take a graph that you trust")
    with pytest.raises(Exception, match="External data path"):  # the runner relies on it
        onnxruntime.InferenceSession(path)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"location": "gone"}, "gone, which is missing"),
        ({"location": 300 * "x"}, "xxx..., which is missing"),
        ({"location": ""}, "tensor w lies at 0 of ''"),
        ({"offset": "-1"}, "tensor w lies at -1 of"),
        ({"offset": "9" * 400}, "tensor w lies at 999"),
        ({"offset": "4096"}, "ends before w"),
        ({"dims": -2048}, "tensor w has the shape [-2048]"),
        ({"dims": 2**60}, "tensor w has the shape [1152921504606846976]"),
        ({"kind": 9999}, "tensor w has the type 9999, which ONNX has not"),
    ],
)
def test_weights_that_cannot_be_are_told(folder: Path, changes: dict[str, object], wrong: str) -> None:
    path = graph(folder, **{"location": "model.onnx.data", **changes})  # type: ignore[arg-type]
    assert wrong in refusal(read_weightless, path)


def test_what_is_no_sound_graph_is_told(folder: Path) -> None:
    path = graph(folder, "model.onnx.data")
    model = onnx.load(path, load_external_data=False)
    model.graph.node.add().CopyFrom(model.graph.node[0])  # two nodes give one value
    path.write_bytes(model.SerializeToString())
    assert refusal(read_graph, path).startswith(str(path))


def test_names_that_are_no_utf8_are_told(folder: Path) -> None:
    path = graph(folder, "model.onnx.data")
    model = onnx.load(path, load_external_data=False)
    model.graph.node[0].name = "the sum"
    path.write_bytes(model.SerializeToString().replace(b"the sum", b"\xe5he sum"))
    assert "is no sound ONNX graph: " in refusal(read_graph, path)


def test_a_bundle_whose_graph_reads_elsewhere_does_not_draw(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    chain = bundle.chain("text_encoder")
    path = bundle.path(chain.graphs[0])
    model = onnx.load(path)
    size = [dim.dim_value for dim in model.graph.output[0].type.tensor_type.shape.dim]
    (bundle.folder.parent / "secret").write_bytes(b"\1" * 4096)
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=size, data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=os.path.relpath(bundle.folder.parent / "secret", path.parent))
    model.graph.initializer.append(weight)
    model.graph.node[-1].output[0] = "bare"
    model.graph.node.append(helper.make_node("Add", ["bare", "w"], [model.graph.output[0].name]))
    path.write_bytes(model.SerializeToString())
    files = (describe(bundle.folder, path), *chain.graphs[0].files[1:])
    replaced = Graph(files, len(model.graph.node), chain.graphs[0].inputs, chain.graphs[0].outputs)
    components = {**bundle.manifest.components, "text_encoder": replace(chain, graphs=(replaced,))}
    write_manifest(bundle.folder, replace(bundle.manifest, components=components))
    Bundle.open(bundle.folder)
    said = refusal(Pipeline.open(bundle.folder, "cpu").draw, "a cat")
    assert "does not load (" in said
    assert "External data path" in said
