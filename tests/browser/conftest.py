"""A real Chromium, and servers of bundles that it visits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.component import Size
from turbo_webnn.runtime.serving import PageServer, ServedFile, routes_of
from turbo_webnn.runtime.webnn.browser import library_path, unpacked_chromium
from turbo_webnn.runtime.webnn.node import Worker

HERE = Path(__file__).parent

WEBNN = ("--disable-gpu", "--enable-features=WebMachineLearningNeuralNetwork")


class Browser:
    """A Chromium with one page at a time."""

    def __init__(self, *flags: str) -> None:
        executable = unpacked_chromium()
        arguments = [str(executable), *flags]
        self._worker = Worker("Chromium", HERE / "driver.mjs", arguments=arguments, settings=library_path(executable))

    def do(self, what: str, limit_s: float = 400.0, **details: Any) -> Any:
        """The value that the job gives; a failure of the page fails the test."""
        answer = self._worker.request({"do": what, **details}, limit_s)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def call(self, name: str, argument: Any = None) -> Any:
        """What the function `name` of in_page.mjs returns."""
        return self.do("call", name=name, argument=argument)

    def close(self) -> None:
        self._worker.close()


@pytest.fixture(scope="session")
def browser(node_modules: None) -> Iterator[Browser]:
    """A browser whose WebNN is on."""
    browser = Browser(*WEBNN)
    yield browser
    browser.close()


@dataclass
class Served:
    """A bundle being served, and what was asked of the server since `asked` was last cleared."""

    bundle: Bundle
    server: PageServer
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def page(self) -> str:
        """The page that people see."""
        return self.server.url

    @property
    def blank(self) -> str:
        """A page for `Browser.call`."""
        return f"{self.server.url}test/blank.html"

    @property
    def fetched(self) -> dict[str, str]:
        """Files of the bundle that were asked for, but for the manifest, and the last range that was asked for."""
        files = {path.removeprefix("/bundle/"): span for path, span in self.asked if path.startswith("/bundle/")}
        files.pop("manifest.json", None)
        return files


Serve = Callable[[Path], Served]


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """Serves bundles, each with a blank page for tests, until the session ends."""
    servers: list[PageServer] = []

    def start(folder: Path) -> Served:
        bundle = Bundle.open(folder)
        server = PageServer(routes_for_tests(bundle))
        served = Served(bundle, server)
        server.on_request = lambda path, span: served.asked.append((path, span))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return served

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def routes_for_tests(bundle: Bundle) -> dict[str, ServedFile]:
    """What is served of `bundle`, and the parts of tests that run in the page."""
    parts = {f"/test/{name}": ServedFile.of(HERE, name) for name in ("blank.html", "in_page.mjs")}
    return routes_of(bundle) | parts


def pixels_of(flat: list[int], size: Size) -> NDArray[np.uint8]:
    """An ImageData's bytes as [height, width, 3]."""
    rgba = np.array(flat, np.uint8).reshape(size.height, size.width, 4)
    assert (rgba[..., 3] == 255).all()
    return rgba[..., :3]
