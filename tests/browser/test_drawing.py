"""The browser draws what the Python runner draws, on every device that this machine's Chromium has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import HERE, Browser, Serve, Served, pixels_of
from tests.pictures import psnr
from turbo_webnn import Pipeline
from turbo_webnn.models.shapes import plain_caption
from turbo_webnn.models.shapes_judge import exam, score
from turbo_webnn.runtime.serving import WEB, ServedFile

PROMPT = "a red circle on a blue background"


@pytest.fixture(scope="module")
def tiny(serve: Serve, tiny_fp16: Path) -> Served:
    return serve(tiny_fp16)


@pytest.fixture(scope="module")
def wide(serve: Serve, tiny_chains: Path) -> Served:
    return serve(tiny_chains)


def _drawn(browser: Browser, served: Served, device: str, opening: dict[str, Any] | None = None, **request: Any) -> Any:
    browser.do("open", url=served.blank, fresh=True)
    assert browser.call("open", {"device": device, **(opening or {})}) == {"device": device, "passedOver": []}
    drawn = browser.call("draw", {"prompt": PROMPT, "seed": 7, **request})
    assert "error" not in drawn, drawn["error"]
    return drawn


def _least_psnr(drawn: Any, served: Served, **request: Any) -> float:
    """The worst picture's, against the Python runner's of the same request."""
    pipeline = Pipeline.open(served.bundle.folder, "cpu", keep_sessions=False)
    expected = pipeline.generate(PROMPT, seed=7, **request).images
    assert len(drawn["images"]) == len(expected)
    size = served.bundle.manifest.size
    return min(
        psnr(pixels_of(flat, size), np.asarray(picture))
        for flat, picture in zip(drawn["images"], expected, strict=True)
    )


def test_webnn_draws_the_same_picture_and_shows_it_growing(browser: Browser, tiny: Served) -> None:
    drawn = _drawn(browser, tiny, "webnn-cpu", steps=3, previews=True)
    assert _least_psnr(drawn, tiny, steps=3) > 35
    assert drawn["promptCut"] == ""
    assert list(drawn["timings"]) == ["text_encoder", "unet", "vae_decoder"]
    assert all(timing["load"] > 0 and timing["run"] > 0 for timing in drawn["timings"].values())
    events = drawn["events"]
    assert [event["step"] for event in events if event["kind"] == "preview"] == [1, 2]
    runs = [event["done"] for event in events if event["kind"] == "run" and event["name"] == "unet"]
    assert runs == [0, 1, 2, 3]
    size = tiny.bundle.manifest.size
    first, second = (pixels_of(event["pixels"], size) for event in events if event["kind"] == "preview")
    last = pixels_of(drawn["images"][0], size)
    assert psnr(first, last) < psnr(second, last) < 60  # each is nearer, none is the last


def test_webnn_draws_what_captions_say(browser: Browser, tiny: Served) -> None:
    """On scenes that `tiny` was never trained on; tests/test_drawing.py examines more of them, without a browser."""
    browser.do("open", url=tiny.blank, fresh=True)
    browser.call("open", {"device": "webnn-cpu"})
    scenes, size = exam(10), tiny.bundle.manifest.size
    pictures = []
    for seed, scene in enumerate(scenes):
        drawn = browser.call("draw", {"prompt": plain_caption(scene), "seed": seed, "steps": 1})
        pictures.append(pixels_of(drawn["images"][0], size))
    reached = score(pictures, scenes)
    assert min(reached["colour"], reached["background"]) >= 0.9, reached
    assert min(reached["shape"], reached["place"]) >= 0.8, reached


def test_webnn_starts_from_a_picture(browser: Browser, tiny: Served) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
    start = Image.fromarray(noise).resize((200, 150), Image.Resampling.BICUBIC)  # to be cropped and made smaller
    picture = {"rgba": list(start.convert("RGBA").tobytes()), "width": start.width, "height": start.height}
    drawn = _drawn(browser, tiny, "webnn-cpu", steps=2, strength=0.5, picture=picture)
    assert list(drawn["timings"]) == ["text_encoder", "vae_encoder", "unet", "vae_decoder"]
    assert _least_psnr(drawn, tiny, steps=2, strength=0.5, image=start) > 35
    assert _least_psnr(drawn, tiny, steps=2) < 25  # it is another picture than that from noise


@pytest.mark.parametrize("device", ["webnn-cpu", "wasm"])
def test_the_latents_of_a_picture_are_sampled(
    browser: Browser, serve: Serve, tiny_posterior: Path, device: str
) -> None:
    served = serve(tiny_posterior)
    start = Image.new("RGB", (128, 128), (30, 160, 90))
    picture = {"rgba": list(start.convert("RGBA").tobytes()), "width": start.width, "height": start.height}
    drawn = _drawn(browser, served, device, steps=4, strength=0.5, picture=picture)
    assert _least_psnr(drawn, served, steps=4, strength=0.5, image=start) > 60
    mean = _drawn(browser, served, device, steps=4, strength=0.5, picture=picture, samplePosterior=False)
    assert _least_psnr(mean, served, steps=4, strength=0.5, image=start, sample_posterior=False) > 60
    assert _least_psnr(mean, served, steps=4, strength=0.5, image=start) < 30


def test_chains_and_batches_with_one_graph_in_memory_at_a_time(browser: Browser, wide: Served) -> None:
    drawn = _drawn(browser, wide, "webnn-cpu", {"keepBytes": 0}, steps=2)
    assert _least_psnr(drawn, wide, steps=2) > 70
    loads = [event["graph"] for event in drawn["events"] if event["kind"] == "load" and event["name"] == "unet"]
    graphs = len(wide.bundle.chain("unet").graphs)
    assert graphs > 1
    assert loads == [*range(1, graphs + 1)] * 2  # none was kept from one step to the next


def test_wasm_draws_the_same_picture(browser: Browser, tiny: Served) -> None:
    assert _least_psnr(_drawn(browser, tiny, "wasm", steps=1), tiny, steps=1) > 35


def test_a_request_that_cannot_be_drawn_is_told_before_anything_is_fetched(browser: Browser, tiny: Served) -> None:
    browser.do("open", url=tiny.blank, fresh=True)
    browser.call("open", {"device": "webnn-cpu"})
    tiny.asked.clear()
    dot = {"rgba": [0, 0, 0, 255], "width": 1, "height": 1}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"steps": 5}, "there is no schedule of 5 steps; there are 1, 2, 3, 4"),
        ({"seed": 0.5}, "seed 0.5 is no whole number"),
        ({"steps": 3, "strength": 0.33, "picture": dot}, "for 3 steps the smallest strength is 0.34"),
        ({"strength": 1.5, "picture": dot}, "strength 1.5 is not above 0 and at most 1"),
        (
            {"steps": 2, "samplePosterior": True, "picture": dot},
            "no variance of a picture's latents to sample with; export with --",
        ),
    ]
    for request, said in wrong:
        error = browser.call("draw", {"prompt": PROMPT, **request})["error"]
        assert error["code"] == "request"
        assert said in error["message"]
    assert tiny.fetched == {}


def test_a_lost_device_is_told_and_the_next_drawing_starts_anew(browser: Browser, tiny: Served) -> None:
    routes = tiny.server.routes
    tiny.server.routes = {
        **routes,
        "/worker.mjs": ServedFile.of(HERE, "lossy_worker.mjs"),
        "/the_worker.mjs": ServedFile.of(WEB, "worker.mjs"),
    }
    browser.do("open", url=tiny.blank, fresh=True)
    browser.call("open", {"device": "webnn-cpu"})
    request = {"prompt": PROMPT, "seed": 7, "steps": 1}
    error = browser.call("drawAndLose", {**request, "at": "load"})["error"]
    assert error["code"] == "lost"
    assert error["message"].startswith("the device was lost (")
    assert error["message"].endswith("draw again: everything is started anew")
    tiny.asked.clear()
    again = browser.call("draw", request)
    tiny.server.routes = routes
    assert _least_psnr(again, tiny, steps=1) > 35
    assert tiny.fetched == {}  # what had come was kept


def test_a_drawing_that_is_aborted_leaves_the_pipeline_usable(browser: Browser, tiny: Served) -> None:
    browser.do("open", url=tiny.blank, fresh=True)
    browser.call("open", {"device": "webnn-cpu"})
    request = {"prompt": PROMPT, "seed": 7, "steps": 1}
    error = browser.call("drawAndAbort", {**request, "at": "load"})["error"]
    assert (error["code"], error["message"]) == ("aborted", "stopped before the end")
    assert _least_psnr(browser.call("draw", request), tiny, steps=1) > 35


@pytest.mark.parametrize("bundle", ["tiny_q8f16", "tiny_q4f16"])
def test_fewer_bits_draw_the_same_picture(
    browser: Browser, serve: Serve, bundle: str, request: pytest.FixtureRequest
) -> None:
    served = serve(request.getfixturevalue(bundle))
    assert _least_psnr(_drawn(browser, served, "webnn-cpu", steps=2), served, steps=2) > 35


def test_sdxl_draws_the_same_picture(browser: Browser, serve: Serve, tiny_xl_fp16: Path) -> None:
    served = serve(tiny_xl_fp16)
    drawn = _drawn(browser, served, "webnn-cpu", steps=2)
    assert list(drawn["timings"]) == ["text_encoder", "text_encoder_2", "unet", "vae_decoder"]
    assert _least_psnr(drawn, served, steps=2) > 35  # noise is added between its steps
