from __future__ import annotations

import sys
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.refusal import refusal
from tests.runtime.conftest import MakeBundle
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.chain import Tensor
from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.ort import provider
from turbo_webnn.runtime.ort.sessions import Session, Settings, choose_provider

CUDA = Settings("cuda", fuse=False)
IDS = np.arange(8, dtype=np.int32)[np.newaxis]


def test_a_session_gives_its_outputs_by_name(make_bundle: MakeBundle) -> None:
    outputs = Session(make_bundle("fp16"), "text_encoder").run({"input_ids": IDS})
    assert list(outputs) == ["last_hidden_state"]
    assert outputs["last_hidden_state"].dtype == np.float16
    assert outputs["last_hidden_state"].ravel().tolist() == list(range(8))


@pytest.mark.parametrize(
    "inputs",
    [{}, {"input_ids": IDS, "mask": IDS}, {"input_ids": IDS.astype(np.int64)}, {"input_ids": IDS[:, :7]}],
)
def test_nothing_is_cast_or_guessed(make_bundle: MakeBundle, inputs: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="text_encoder"):
        Session(make_bundle(), "text_encoder").run(inputs)


def test_casting_is_asked_for(make_bundle: MakeBundle) -> None:
    session = Session(make_bundle("fp16"), "vae_decoder")
    cast = session.cast({"latent_sample": np.zeros((1, 4, 2, 3), np.float32)})
    assert cast["latent_sample"].dtype == np.float16
    assert session.run(cast)["sample"].shape == (1, 3, 16, 24)


def test_a_component_that_the_bundle_lacks(make_bundle: MakeBundle) -> None:
    with pytest.raises(RequestError, match="has no vae_encoder"):
        Session(make_bundle(components=("unet",)), "vae_encoder")


def test_a_graph_that_does_not_load_is_told_in_one_line(make_bundle: MakeBundle) -> None:
    bundle = replace(make_bundle(), states={})  # as one whose files nobody looked at
    bundle.path(bundle.chain("text_encoder").graphs[0]).write_bytes(b"not a graph")
    with pytest.raises(RequestError, match="does not load") as told:
        Session(bundle, "text_encoder").run({"input_ids": IDS})
    assert "\n" not in str(told.value)


def test_a_graph_that_the_manifest_does_not_describe(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    chain = bundle.chain("text_encoder")
    outputs = (Tensor("last_hidden_state", "float16", (1, 8, 1)),)
    wrong = replace(chain, outputs=outputs, graphs=(replace(chain.graphs[0], outputs=outputs),))
    manifest = replace(bundle.manifest, components={"text_encoder": wrong})
    with pytest.raises(RequestError, match="outputs are not those of the manifest"):
        Session(Bundle(bundle.folder, manifest), "text_encoder").run({"input_ids": IDS})


UNET_INPUTS = {
    "sample": np.ones((1, 4, 2, 3), np.float32),
    "timestep": np.array([500], np.float32),
    "encoder_hidden_states": np.full((1, 8, 1), 3, np.float32),
}


def test_a_chain_gives_what_the_whole_gives(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(cut=True)
    told = []
    outputs = Session(bundle, "unet").run(UNET_INPUTS, lambda *passed: told.append(passed))
    assert list(outputs) == ["out_sample"]
    np.testing.assert_array_equal(outputs["out_sample"], np.full((1, 4, 2, 3), 0.5 + 0.5 + 3, np.float32))
    assert [graph for graph, _, _ in told] == list(bundle.chain("unet").graphs)
    assert [(list(inputs), list(given)) for _, inputs, given in told] == [
        (["sample", "timestep"], ["timed"]),
        (["encoder_hidden_states", "timed"], ["out_sample"]),
    ]


@pytest.mark.parametrize("keep", [True, False])
def test_graphs_stay_or_leave_before_the_next_one_comes(
    make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    held_at_load = []
    real = onnxruntime.InferenceSession

    def load(*arguments: Any, **options: Any) -> Any:
        held_at_load.append(len(alive))
        session = real(*arguments, **options)
        alive.add(session)
        return session

    monkeypatch.setattr(onnxruntime, "InferenceSession", load)
    session = Session(make_bundle(cut=True), "unet", keep_graphs=keep)
    for _ in range(2):
        session.run(UNET_INPUTS)
    assert held_at_load == ([0, 1] if keep else [0, 0, 0, 0])
    assert session.load_seconds > 0


def test_the_cpu_is_chosen_where_there_is_no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert choose_provider() == "cpu"
    with pytest.raises(RequestError, match=r"turbo-webnn\[cuda\].*exclude each other"):
        choose_provider("cuda")


def test_cuda_is_chosen_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    assert choose_provider() == "cuda"
    assert choose_provider("cpu") == "cpu"


def test_a_silent_fall_back_to_the_cpu_is_refused(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    real = onnxruntime.InferenceSession

    def fall_back(path: Any, options: Any, **_: Any) -> Any:
        return real(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", fall_back)
    with pytest.raises(RequestError, match="could not start cuda"):
        Session(make_bundle(), "text_encoder", provider=CUDA).run({"input_ids": IDS})


def test_a_provider_that_says_why_it_does_not_start(make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("libcudnn.so.9 is not there\nand a page of hints")

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    said = refusal(Session(make_bundle(), "text_encoder", provider=CUDA).run, {"input_ids": IDS})
    assert said.startswith("onnxruntime could not start cuda (libcudnn.so.9 is not there); it needs an NVIDIA driver")


def test_what_preloading_misses_is_told_when_cuda_does_not_start(
    make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: sys.stdout.write("Failed to load libcublas.so.12\n"))
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda path, options, **_: real(path, options))
    provider._preload_cuda.cache_clear()
    try:
        said = refusal(Session(make_bundle(), "text_encoder", provider=CUDA).run, {"input_ids": IDS})
    finally:
        provider._preload_cuda.cache_clear()
    assert "could not start cuda (Failed to load libcublas.so.12); it needs" in said
    assert capsys.readouterr().out == ""


def test_a_provider_that_does_not_exist() -> None:
    with pytest.raises(RequestError, match="there are cpu, cuda"):
        choose_provider("npu")  # type: ignore[arg-type]


def test_onnxruntime_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    provider.onnxruntime.cache_clear()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RequestError, match=r"turbo-webnn\[cpu\]"):
        choose_provider()
