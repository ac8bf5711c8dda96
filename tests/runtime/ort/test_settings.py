from __future__ import annotations

import pytest

from tests.refusal import refusal
from turbo_webnn.runtime.ort.settings import Settings, parse_options


def test_options_are_key_and_value() -> None:
    assert parse_options(["device_id=1", "a=b=c", "device_id=2"]) == {"device_id": "2", "a": "b=c"}
    for word in ("device_id", "=1", "device_id=", ""):
        assert refusal(parse_options, [word]) == f"{word!r} is no option; give KEY=VALUE, as device_id=1"


def test_what_cannot_be() -> None:
    assert refusal(Settings, "cpu", 0) == "0 threads run nothing; give 1 or more"
    assert "the CPU provider has no option 'use_tf32'" in refusal(Settings, "cpu", options={"use_tf32": "1"})
    assert "there is no option 'sesion.a'" in refusal(Settings, "cuda", options={"sesion.a": "1"})


def test_cuda_that_stays_is_captured_and_keeps_float32_whole() -> None:
    ((name, options),) = Settings("cuda").providers(bound=True)
    assert name == "CUDAExecutionProvider"
    assert options == {
        "use_tf32": "0",
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "enable_cuda_graph": "1",
    }
    assert Settings("cuda").captures(bound=True)


def test_cuda_that_leaves_is_not_captured() -> None:
    ((_, options),) = Settings("cuda").providers(bound=False)
    assert (options["enable_cuda_graph"], options["cudnn_conv_algo_search"]) == ("0", "HEURISTIC")
    assert not Settings("cuda").captures(bound=False)


def test_what_is_asked_for_wins() -> None:
    asked = {"enable_cuda_graph": "0", "prefer_nhwc": "1", "session.intra_op.allow_spinning": "0"}
    settings = Settings("cuda", tf32=True, options=asked | {"device_id": "3"})
    ((_, options),) = settings.providers(bound=True)
    assert (options["enable_cuda_graph"], options["prefer_nhwc"], options["use_tf32"]) == ("0", "1", "1")
    assert "session.intra_op.allow_spinning" not in options
    assert not settings.captures(bound=True)
    assert settings.device == 3


def test_session_options_reach_onnxruntime() -> None:
    options = Settings("cpu", 3, options={"session.intra_op.allow_spinning": "0"}).session_options()
    assert options.intra_op_num_threads == 3
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_an_arena_is_given_back_where_no_address_is_held() -> None:
    settings, key = Settings("cuda", options={"device_id": "1"}), "memory.enable_memory_arena_shrinkage"
    assert settings.run_options(bound=False).get_run_config_entry(key) == "gpu:1"
    with pytest.raises(RuntimeError, match="does not have"):
        settings.run_options(bound=True).get_run_config_entry(key)
