"""Bundles of `tiny` as they come out: what is in them, and what is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.conftest import exported
from turbo_webnn.export import exporter
from turbo_webnn.export.job import BundleJob
from turbo_webnn.export.request import native_size
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.chain import Chain, Tensor
from turbo_webnn.models.component import Size
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.progress import ReportFraction
from turbo_webnn.models.source import open_source

BANNED = {
    "Shape", "Identity", "Dropout", "Range", "ConstantOfShape", "Constant", "Size", "IsNaN", "Where", "Unsqueeze",
    "Squeeze", "RandomNormalLike", "RandomNormal", "If", "Loop", "SplitToSequence", "SequenceAt", "CastLike",
}  # fmt: skip


def graphs(bundle: Path) -> dict[str, onnx.ModelProto]:
    return {name: onnx.load(str(path), load_external_data=False) for name, path in paths(bundle).items()}


def paths(bundle: Path) -> dict[str, Path]:
    """The one graph of each component."""
    held = Bundle.open(bundle)
    return {name: held.path(chain.graphs[0]) for name, chain in held.manifest.components.items()}


def test_graphs_hold_what_webnn_has_and_nothing_else(tiny_fp16: Path, tiny_fp32: Path) -> None:
    for bundle in (tiny_fp16, tiny_fp32):
        for name, model in graphs(bundle).items():
            operators = {node.op_type for node in model.graph.node}
            assert not operators & BANNED, name
            assert {node.domain for node in model.graph.node} == {""}, name
            read = {value for node in model.graph.node for value in node.input}
            assert {tensor.name for tensor in model.graph.initializer} <= read, name
            assert {value.name for value in model.graph.input} <= read, name
            onnx.checker.check_model(str(paths(bundle)[name]), full_check=True)


def test_every_value_has_numbers_for_a_shape(tiny_fp16: Path) -> None:
    for name, model in graphs(tiny_fp16).items():
        shaped = {value.name: value for value in (*model.graph.value_info, *model.graph.output)}
        for node in model.graph.node:
            for value in node.output:
                dims = shaped[value].type.tensor_type.shape.dim
                assert all(dim.HasField("dim_value") for dim in dims), f"{name}: {value}"


def test_the_boundary_is_the_contract(tiny_fp16: Path) -> None:
    manifest = Bundle.open(tiny_fp16).manifest
    boundary = {
        name: {tensor.name: (tensor.dtype, tensor.shape) for tensor in (*graph.inputs, *graph.outputs)}
        for name, graph in manifest.components.items()
    }
    latents, pixels, states = (1, 4, 16, 16), (1, 3, 128, 128), (1, 77, 64)
    assert boundary == {
        "text_encoder": {"input_ids": ("int32", (1, 77)), "last_hidden_state": ("float16", states)},
        "unet": {
            "sample": ("float16", latents),
            "timestep": ("float16", (1,)),
            "encoder_hidden_states": ("float16", states),
            "out_sample": ("float16", latents),
        },
        "vae_decoder": {"latent_sample": ("float16", latents), "sample": ("float16", pixels)},
        "vae_encoder": {"sample": ("float16", pixels), "latent_sample": ("float16", latents)},
    }
    for name, model in graphs(tiny_fp16).items():
        assert [value.name for value in (*model.graph.input, *model.graph.output)] == list(boundary[name])


def test_the_manifest_says_what_a_consumer_needs(tiny_fp16: Path) -> None:
    held = json.loads((tiny_fp16 / "manifest.json").read_text())
    assert held["size"] == {"batch": 1, "height": 128, "width": 128, "latent_height": 16, "latent_width": 16}
    assert held["source"] == {"name": "tiny", "revision": None, "variant": None, "license": "apache-2.0"}
    assert list(held["schedules"]) == ["1", "2", "3", "4"]
    assert held["components"]["vae_encoder"]["adapters"] == {}
    assert held["tokenizers"]["tokenizer"]["pad_id"] == 0
    four = held["schedules"]["4"]
    assert [step["timestep"] for step in four["steps"]] == [999, 749, 499, 249]
    sigmas = [step["start"]["noise"] for step in four["steps"]]
    np.testing.assert_allclose(sigmas, [14.6146, 4.0817, 1.6129, 0.6932], atol=1e-4)
    assert four["steps"][-1]["next"]["output"] == -sigmas[-1]
    assert four["init_noise_sigma"] == pytest.approx(14.6146, abs=1e-4)
    assert [chain["float32_parts"] for chain in held["components"].values()] == [{}] * 4  # nothing overflows
    Bundle.open(tiny_fp16).require_intact()


def test_two_exports_give_the_same_bytes(tiny_fp16: Path, tmp_path: Path) -> None:
    again = exported(tmp_path / "again")
    ours = {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()}
    first = Bundle.open(tiny_fp16)
    assert {Path(file.path) for file in first.files()} | {Path("manifest.json")} == set(ours)
    for file in first.files():
        assert ours[Path(file.path)] == (tiny_fp16 / file.path).read_bytes(), file.path
    # the other bundle's manifest may hold verdicts by now
    assert Bundle.open(again).manifest.schedules == first.manifest.schedules


def test_one_component_alone_and_the_old_bundle_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = exported(tmp_path / "b", "--component", "text_encoder")
    assert list(Bundle.open(bundle).manifest.components) == ["text_encoder"]
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}

    def fill_the_disk(job: BundleJob, report: ReportFraction) -> None:
        assert job.stage is not None
        (job.stage / "half").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporter, "run_worker", fill_the_disk)
    with pytest.raises(RequestError, match="No space left on device"):
        exporter.export_bundle("tiny", bundle, overwrite=True)
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before
    assert list(tmp_path.iterdir()) == [bundle]


def test_native_size_is_the_unets_own_unless_a_side_is_named() -> None:
    source = open_source("tiny")
    assert native_size(source) == Size(1, 128, 128)
    assert native_size(source, batch=2, width=256) == Size(2, 128, 256)
    with pytest.raises(RequestError, match="height 0 is not a multiple of 8"):
        native_size(source, height=0)


def test_a_chain_computes_what_the_whole_computes(tiny_fp32: Path, tiny_chains: Path) -> None:
    whole, cut = Bundle.open(tiny_fp32), Bundle.open(tiny_chains)
    for name, chain in cut.manifest.components.items():
        assert (chain.inputs, chain.outputs) == (whole.chain(name).inputs, whole.chain(name).outputs)
        feeds = {tensor.name: _numbers(tensor) for tensor in chain.inputs}
        for ours, theirs in zip(_run(cut, chain, feeds), _run(whole, whole.chain(name), feeds), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    paths = [graph.path for graph in cut.chain("unet").graphs]
    assert paths == ["unet/model-1.onnx", "unet/model-2.onnx", "unet/model-3.onnx"]
    assert [graph.path for graph in cut.chain("text_encoder").graphs] == ["text_encoder/model.onnx"]
    crossing = {tensor.dtype for graph in cut.chain("unet").graphs for tensor in (*graph.inputs, *graph.outputs)}
    assert crossing == {"float32"}
    cut.require_intact()


def _numbers(tensor: Tensor) -> np.ndarray:
    if tensor.dtype == "int32":
        return np.arange(np.prod(tensor.shape), dtype=np.int32).reshape(tensor.shape)
    return np.random.default_rng(5).standard_normal(tensor.shape).astype(tensor.dtype)


def _run(bundle: Bundle, chain: Chain, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    values = dict(feeds)
    for graph in chain.graphs:
        session = onnxruntime.InferenceSession(bundle.path(graph), options)
        given = session.run(None, {tensor.name: values[tensor.name] for tensor in graph.inputs})
        values |= {tensor.name: output for tensor, output in zip(graph.outputs, given, strict=True)}
    return [values[tensor.name] for tensor in chain.outputs]
