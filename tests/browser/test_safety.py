"""A bundle with a safety checker: what it refuses is black in the browser too, and so is every preview of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from tests.browser.conftest import Browser, Serve, pixels_of
from tests.pictures import psnr
from turbo_webnn import Pipeline
from turbo_webnn.models.bundle import Bundle, describe, write_manifest
from turbo_webnn.models.chain import Chain, Graph, Tensor
from turbo_webnn.runtime.draw.safety import clip_input

PROMPT = "a cat"
REQUEST = {"prompt": PROMPT, "seed": 3, "steps": 2}

# A picture is refused where the mean of what CLIP would read is above the limit.
CHECKER = """
<ir_version: 10, opset_import: ["" : 20]>
checker (float16[1,3,224,224] clip_input) => (int32[1] has_nsfw_concepts)
<int64[3] axes = {{1, 2, 3}}, float[1] limit = {{{limit}}}>
{{
  wide = Cast<to = 1>(clip_input)
  mean = ReduceMean<keepdims = 0>(wide, axes)
  above = Greater(mean, limit)
  has_nsfw_concepts = Cast<to = 6>(above)
}}
"""


def _with_checker(bundle: Bundle, folder: Path, limit: float) -> Bundle:
    """A copy of `bundle` with such a checker."""
    shutil.copytree(bundle.folder, folder)
    path = folder / "safety_checker/model.onnx"
    path.parent.mkdir()
    onnx.save(onnx.parser.parse_model(CHECKER.format(limit=limit)), path)
    inputs = (Tensor("clip_input", "float16", (1, 3, 224, 224)),)
    outputs = (Tensor("has_nsfw_concepts", "int32", (1,)),)
    graph = Graph((describe(folder, path),), 4, inputs, outputs)
    components = {**bundle.manifest.components, "safety_checker": Chain(inputs, outputs, (graph,))}
    write_manifest(folder, replace(bundle.manifest, components=components))
    return Bundle.open(folder)


@pytest.mark.parametrize(("offset", "refused"), [(-0.05, True), (0.05, False)])
def test_what_the_checker_refuses_is_black(
    browser: Browser, serve: Serve, tiny_fp16: Path, tmp_path: Path, offset: float, *, refused: bool
) -> None:
    drawn = Pipeline.open(tiny_fp16, "cpu").draw(PROMPT, seed=3, steps=2)
    limit = float(clip_input([drawn]).mean()) + offset
    checked = _with_checker(Bundle.open(tiny_fp16), tmp_path / "checked", limit)
    browser.do("open", url=serve(checked.folder).blank, fresh=True)
    browser.call("open", {"device": "webnn-cpu"})
    found = browser.call("draw", REQUEST)
    assert found["flagged"] == [refused]
    assert list(found["timings"])[-1] == "safety_checker"
    expected = Image.new("RGB", drawn.size) if refused else drawn
    assert psnr(pixels_of(found["images"][0], checked.manifest.size), np.asarray(expected)) > 35


def test_no_preview_passes_the_checker_by(browser: Browser, serve: Serve, tiny_fp16: Path, tmp_path: Path) -> None:
    checked = _with_checker(Bundle.open(tiny_fp16), tmp_path / "checked", -1000.0)  # refuses everything
    browser.do("open", url=serve(checked.folder).blank, fresh=True)
    browser.call("open", {"device": "webnn-cpu"})
    found = browser.call("draw", {**REQUEST, "previews": True})
    previews = [event["pixels"] for event in found["events"] if event["kind"] == "preview"]
    assert len(previews) == 1
    assert not pixels_of(previews[0], checked.manifest.size).any()
