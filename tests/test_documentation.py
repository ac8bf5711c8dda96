"""What the documentation says and a test can tell: a program that draws, and the error lines."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.pictures import psnr
from turbo_webnn.runtime.draw.noise import NoiseSource
from turbo_webnn.runtime.draw.pipeline import Pipeline

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
VALUES = re.compile(r"/?manifest\.json|model_index\.json|float16|fp16|cuda|\d+|[;,] ")
"""What stands in the lines of the page where the program's texts have a place for a value, or are put together."""

PROMPT = "a red circle on a blue background"


@pytest.fixture(scope="module")
def draw() -> Callable[..., Any]:
    """The function `draw` of docs/bundle.md."""
    text = (DOCS / "bundle.md").read_text(encoding="utf-8")
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


def test_the_error_lines_of_the_troubleshooting_page_are_the_programs() -> None:
    said = list(_said())
    unknown = [line for line in _lines() for part in line.split("…") if not _is_said(part, said)]
    assert not unknown, unknown


def _lines() -> Iterator[str]:
    """The lines in the first column of the page's tables, with `…` for what differs."""
    for row in (DOCS / "troubleshooting.md").read_text(encoding="utf-8").splitlines():
        if row.startswith("| `"):
            yield from (span for span in re.findall("`([^`]+)`", row.split(" | ")[0]) if " " in span)


def _is_said(part: str, said: list[str]) -> bool:
    """Whether `part` of a line is a text of the program, but for values."""
    return all(any(piece.strip() in text for text in said) for piece in VALUES.split(part) if piece.strip())


def _said() -> Iterator[str]:
    """The texts in the program's sources."""
    for folder in ("export", "models", "runtime", "scripts"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
            yield from (value for value in constants if isinstance(value, str))
        for path in (ROOT / folder).rglob("*.mjs"):
            yield path.read_text(encoding="utf-8")
    yield (ROOT / "scripts" / "environment.sh").read_text(encoding="utf-8")
