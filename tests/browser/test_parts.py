"""The parts that are written twice, in Python and for the browser, give the same numbers."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.browser.conftest import Browser, Serve
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.runtime.draw.noise import NoiseSource
from turbo_webnn.runtime.draw.text import tokenizers_of
from turbo_webnn.runtime.serving import MODULES, WEB


@pytest.fixture(scope="module", autouse=True)
def page(browser: Browser, serve: Serve, tiny_fp16: Path) -> None:
    browser.do("open", url=serve(tiny_fp16).blank, fresh=True)
    browser.call("open", {"device": "wasm"})


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**32 + 5, 2**64 - 1])
def test_noise_is_the_same_within_1e_5(browser: Browser, seed: int) -> None:
    counts = [4096, 1, 3, 16, 1000, 2, 15, 1024]  # in blocks, one by one, and blocks that do not come out even
    drawn = browser.call("noise", {"seed": str(seed), "counts": counts})
    source = NoiseSource(seed)
    for count, numbers in zip(counts, drawn, strict=True):
        np.testing.assert_allclose(numbers, source.normal((count,)), atol=1e-5)


@pytest.mark.parametrize("name", ["LANCZOS", "BICUBIC"])
@pytest.mark.parametrize(("size", "to"), [((61, 47), (32, 24)), ((20, 20), (64, 40)), ((32, 24), (32, 24))])
def test_a_picture_is_brought_to_size_as_pillow_does(
    browser: Browser, size: tuple[int, int], to: tuple[int, int], name: str
) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (size[1], size[0], 3), np.uint8)
    picture = {"rgb": pixels.ravel().tolist(), "width": size[0], "height": size[1], "to": to, "filter": name}
    found = np.array(browser.call("fitted", picture)).reshape(to[1], to[0], 3)
    expected = np.asarray(ImageOps.fit(Image.fromarray(pixels), to, Image.Resampling[name])).astype(int)
    assert np.abs(found - expected).max() <= 1
    assert np.mean(found != expected) < 0.01  # Pillow's weights are fixed-point


PROMPTS = [
    "",
    "a red circle on a blue background",
    "  Two   spaces,\ttabs\nand LINES ",
    "Ein Fuchs im Schnee — naïve café, 狐, 🦊! it's 1234",
    "<|endoftext|> in the middle",
    "a very long one " * 40,
    "a!\ufeff!b " * 30,  # JavaScript's white space, and no white space of Unicode's
    "ΟΔΟΣ Σ",
    "<|ENDOFTEXT|>",
]


def test_prompts_have_the_same_ids(browser: Browser, tiny_fp16: Path) -> None:
    (tokenizer,) = tokenizers_of(Bundle.open(tiny_fp16)).values()
    for prompt, found in zip(PROMPTS, browser.call("encoded", PROMPTS), strict=True):
        expected = tokenizer.encode(prompt)
        assert found["ids"] == expected.ids[0].tolist(), prompt
        cut = found["cut"].strip()
        assert cut.endswith(expected.cut.strip()), prompt
        assert " " not in cut.removesuffix(expected.cut.strip())  # here a cut begins with a whole word


def test_the_module_is_typed_and_keeps_its_declared_types(node_modules: None) -> None:
    checked = subprocess.run(
        [MODULES / ".bin" / "tsc", "-p", WEB], capture_output=True, text=True, timeout=120, check=False
    )
    assert checked.stdout == ""
    assert checked.returncode == 0


def test_one_onnxruntime_judges_and_draws() -> None:
    judges = json.loads((MODULES.parent / "package.json").read_text())["dependencies"]
    draws = json.loads((WEB / "package.json").read_text())["dependencies"]
    assert judges["onnxruntime-web"] == draws["onnxruntime-web"]
    assert all(version[0].isdigit() for version in draws.values())  # pinned
