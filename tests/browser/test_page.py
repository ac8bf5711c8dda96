"""The page as people use it: by keyboard, with what goes wrong told in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import Browser, Serve, Served, routes_for_tests
from tests.pictures import psnr
from turbo_webnn import Pipeline


@pytest.fixture(scope="module")
def tiny(serve: Serve, tiny_fp16: Path) -> Served:
    return serve(tiny_fp16)


@pytest.fixture(scope="module")
def plain(node_modules: None) -> Iterator[Browser]:
    """A browser whose WebNN is off, and that has no graphics adapter."""
    browser = Browser("--disable-gpu")
    yield browser
    browser.close()


def test_a_prompt_and_enter_draw_a_picture_that_carries_its_parameters(
    browser: Browser, tiny: Served, tmp_path: Path
) -> None:
    browser.do("open", url=tiny.page, fresh=True)
    assert browser.do("text", selector="#draw:enabled") == "Draw"
    assert browser.do("text", selector="#caption") == "The noise of seed 7"
    browser.do("click", selector="#steps label:nth-child(2)")
    browser.do("fill", selector="#seed", text="11")
    browser.do("fill", selector="#prompt", text="a grün circle")
    browser.do("press", key="Enter")
    assert "Download PNG" in browser.do("text", selector="#actions")
    assert browser.do("text", selector="#caption") == "Seed 11 · 2 steps"
    assert re.fullmatch(r"\d+(\.\d)? m?s in all", browser.do("text", selector="#total"))
    assert re.fullmatch(r"UNet\s+built in .* m?s\s+\d.* m?s", browser.do("text", selector="tbody tr:nth-child(2)"))
    browser.do("download", selector="#download", file=str(tmp_path / "picture.png"))
    with Image.open(tmp_path / "picture.png") as picture:
        expected = Pipeline.open(tiny.bundle.folder, "cpu").draw("a grün circle", steps=2, seed=11)
        assert psnr(np.asarray(picture.convert("RGB")), np.asarray(expected)) > 35
        prompt, settings = picture.info["parameters"].split("\n")
    assert prompt == "a grün circle"
    assert settings.startswith("Steps: 2, Seed: 11, Size: 128x128, Model: tiny, Precision: fp16, Device: webnn-gpu")
    assert browser.do("errors") == []


def test_a_picture_is_picked_and_started_from(browser: Browser, tiny: Served, tmp_path: Path) -> None:
    Image.new("RGB", (50, 30), "teal").save(tmp_path / "start.png")
    browser.do("open", url=tiny.page, fresh=True)
    browser.do("text", selector="#draw:enabled")
    browser.do("choose", selector="#file", file=str(tmp_path / "start.png"))
    assert browser.do("text", selector="#strength-row").startswith("Strength 50 %")
    browser.do("press", key="Control+a")
    browser.do("press", key="Enter")
    assert "Picture to latents" in browser.do("text", selector="#work:has(#total:text('in all'))")
    browser.do("click", selector="#forget")
    assert "Noise." in browser.do("text", selector="#hint")


def test_a_broken_bundle_is_told_on_the_page(browser: Browser, tiny: Served) -> None:
    whole = routes_for_tests(tiny.bundle)
    tiny.server.routes = {path: file for path, file in whole.items() if path != "/bundle/unet/model.onnx"}
    browser.do("open", url=tiny.page, fresh=True)
    browser.do("text", selector="#draw:enabled")
    browser.do("click", selector="#draw")
    said = browser.do("text", selector="#error")
    tiny.server.routes = whole
    assert said.replace("\n", " ") == "unet/model.onnx is missing. Copy the bundle whole to the server."
    assert browser.do("text", selector="#draw:enabled") == "Draw"


def test_without_webnn_the_page_says_what_to_switch_on_and_draws_elsewhere(plain: Browser, tiny: Served) -> None:
    plain.do("open", url=tiny.page, fresh=True)
    said = plain.do("text", selector="#notice")
    assert "Drawing without WebNN, on WASM · CPU" in said
    assert "chrome://flags/#web-machine-learning-neural-network" in said
    assert plain.do("text", selector="#draw:enabled") == "Draw"
    offers = {offer["device"]: offer for offer in plain.call("devices")}
    assert [name for name, offer in offers.items() if offer["offered"]] == ["wasm"]
    assert "no graphics adapter" in offers["webgpu"]["reason"]


def test_a_device_that_is_not_there_is_refused_or_passed_over(plain: Browser, tiny: Served) -> None:
    plain.do("open", url=tiny.blank, fresh=True)
    error = plain.call("open", {"device": "webnn-npu"})["error"]
    assert error["code"] == "device"
    assert error["message"].startswith("no webnn-npu: this browser has no WebNN, or it is switched off")
    choice = plain.call("open", {"device": ["webnn-npu", "wasm"]})
    assert choice["device"] == "wasm"
    assert [offer["device"] for offer in choice["passedOver"]] == ["webnn-npu"]
    assert "there is no device tpu" in plain.call("open", {"device": "tpu"})["error"]["message"]
