"""`generate`: pictures, and requests that cannot be drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import run_command
from turbo_webnn.models.source import EMBEDDED

TINY = EMBEDDED["tiny"]


def test_draw_and_json(tiny_fp16: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    done = run_command("generate", tiny_fp16, "a red circle " * 60, "-o", picture, "--steps", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    held = json.loads(done.stdout)
    assert held["pictures"] == [str(picture)]
    assert "circle" in held["prompt_cut"]
    with Image.open(picture) as drawn:
        assert (drawn.size, drawn.mode) == ((128, 128), "RGB")
        assert np.ptp(np.asarray(drawn)) > 20  # not flat
    again = tmp_path / "again.png"
    run_command("generate", tiny_fp16, "a cat", "-o", again, "--image", picture, "--strength", "0.5", "--steps", "2")
    assert again.is_file()
    failed = run_command("generate", tiny_fp16, "a cat", "-o", again, "--provider", "cuda", "--json")
    assert failed.returncode == 2
    assert "onnxruntime" in json.loads(failed.stdout)["error"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--steps", "5"], "5 steps"),
        (["--image", "PICTURE", "--strength", "0.4"], "strength"),
        (["--image", "missing.png"], "missing.png"),
        (["--provider", "tpu"], "tpu"),
        (["--image", "PICTURE", "--sample-posterior"], "export with --sample-posterior"),
    ],
)
def test_a_request_that_cannot_be_drawn_is_one_line(
    tiny_fp16: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    picture = tmp_path / "in.png"
    Image.new("RGB", (9, 5)).save(picture)
    words = [word.replace("PICTURE", str(picture)) for word in words]
    done = run_command("generate", tiny_fp16, "a cat", "-o", tmp_path / "out.png", *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert said in done.stderr
    assert not (tmp_path / "out.png").exists()
