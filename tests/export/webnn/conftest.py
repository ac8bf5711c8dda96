"""The real parts that these tests need: npm's, and a browser."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from export.webnn.chromium import Chromium
from export.webnn.node import MODULES
from export.webnn.provider import Provider


def _require_modules() -> None:
    """Skips where node_modules is absent; in CI it has to be there, and the test fails on its own."""
    if not MODULES.is_dir() and os.environ.get("CI") != "true":
        pytest.skip("node_modules is absent: run npm ci --ignore-scripts")


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    _require_modules()
    with Provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    _require_modules()
    with Chromium() as chromium:
        yield chromium
