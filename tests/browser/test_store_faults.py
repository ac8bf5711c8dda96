"""The page's store where storage or server fail, in Node over a file system that fails as it is told to."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.browser.conftest import HERE

BYTES = 300_000


def _asked_for(fault: str) -> Any:
    done = subprocess.run(
        ["node", str(HERE / "store_faults.mjs"), fault], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        ("nothing", 0),
        ("damaged", 1),
        ("zeroed", 1),
        ("shorter", 1),
        ("longer", 1),
        ("unreadable", 1),
        ("part damaged", 2),
        ("part longer", 1),
        ("part without an end", 1),
        ("part unreadable", 1),
        ("another offset", 2),
    ],
)
def test_the_right_bytes_are_given_and_stored(fault: str, requests: int) -> None:
    assert _asked_for(fault) == {"right": True, "requests": requests, "left": {"file": BYTES}}


@pytest.mark.parametrize(
    ("fault", "code", "said", "left"),
    [
        ("damaged, offline", "network", "does not come through (Failed to fetch)", {}),
        ("damaged, no room", "quota", "has no room for unet/model.onnx.data (0.3 MB)", {}),
        (
            "damaged, locked",
            "quota",
            "cannot keep unet/model.onnx.data (it fails by",
            {"file": BYTES, "file.part": BYTES},
        ),
        ("part locked", "quota", "cannot keep unet/model.onnx.data (it fails by", {"file.part": 1000}),
        ("no room for a name", "quota", "has no room for unet/model.onnx.data (0.3 MB)", {}),
        ("a byte a connection", "network", "does not come through (it ends early)", {"file.part": 4}),
        ("wrong bytes", "integrity", "does not match its sha256 in the manifest", {}),
    ],
)
def test_what_cannot_be_had_is_one_line_with_a_code(fault: str, code: str, said: str, left: dict[str, int]) -> None:
    told = _asked_for(fault)
    assert (told["error"]["name"], told["error"]["code"]) == ("TurboError", code)
    assert said in told["error"]["message"]
    assert "\n" not in told["error"]["message"]
    assert told["left"] == left
