"""The real parts that these tests need: npm's, and a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from turbo_webnn.runtime.webnn.chromium import Chromium
from turbo_webnn.runtime.webnn.provider import Provider


@pytest.fixture(scope="session")
def provider(node_modules: None) -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def chromium(node_modules: None) -> Iterator[Chromium]:
    with Chromium() as chromium:
        yield chromium
