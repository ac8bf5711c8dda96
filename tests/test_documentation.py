"""The program in docs/bundle.md draws what the package draws."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.pictures import psnr
from turbo_webnn.runtime.draw.noise import NoiseSource
from turbo_webnn.runtime.draw.pipeline import Pipeline

ROOT = Path(__file__).parents[1]
PROMPT = "a red circle on a blue background"


@pytest.fixture(scope="module")
def draw() -> Callable[..., Any]:
    """The function `draw` of the page."""
    text = (ROOT / "docs" / "bundle.md").read_text(encoding="utf-8")
    program = text.partition("```python\n")[2].partition("```")[0]
    held: dict[str, Any] = {}
    exec(compile(program, "docs/bundle.md", "exec"), held)
    found: Callable[..., Any] = held["draw"]
    return found


@pytest.mark.parametrize(("bundle", "steps"), [("tiny_fp16", 1), ("tiny_xl_fp16", 2), ("tiny_chains", 1)])
def test_the_program_of_the_page_draws_the_same_picture(
    request: pytest.FixtureRequest, draw: Callable[..., Any], bundle: str, steps: int
) -> None:
    folder = request.getfixturevalue(bundle)
    expected = Pipeline.open(folder, "cpu", keep_sessions=False).generate(PROMPT, steps=steps, seed=7).images
    drawn = draw(folder, PROMPT, steps, NoiseSource(7).normal)
    assert drawn.shape == (len(expected), *np.asarray(expected[0]).shape)
    for pixels, picture in zip(drawn, expected, strict=True):
        assert psnr(pixels, np.asarray(picture)) > 40
