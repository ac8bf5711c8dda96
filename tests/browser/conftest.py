"""A real Chromium, and servers of bundles that it visits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from export.webnn.browser import library_path, unpacked_chromium
from export.webnn.node import Worker
from models.bundle import Bundle
from runtime.serving import PageServer, routes_of

HERE = Path(__file__).parent

WEBNN = ("--disable-gpu", "--enable-features=WebMachineLearningNeuralNetwork")


class Browser:
    """A Chromium with one page at a time."""

    def __init__(self, *flags: str) -> None:
        executable = unpacked_chromium()
        arguments = [str(executable), *flags]
        self._worker = Worker("Chromium", HERE / "driver.mjs", arguments=arguments, settings=library_path(executable))

    def do(self, what: str, limit_s: float = 180.0, **details: Any) -> Any:
        """The value that the job gives; a failure of the page fails the test."""
        answer = self._worker.ask({"do": what, **details}, limit_s)
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

    server: PageServer
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def fetched(self) -> list[str]:
        """Files of the bundle that were asked for, but for the manifest."""
        return [path for path in self.asked if path.startswith("/bundle/") and path != "/bundle/manifest.json"]


Serve = Callable[[Path], Served]


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """Serves bundles, each with a blank page for tests, until the session ends."""
    servers: list[PageServer] = []

    def start(folder: Path) -> Served:
        tests = {"/test/blank.html": HERE / "blank.html", "/test/in_page.mjs": HERE / "in_page.mjs"}
        server = PageServer(routes_of(Bundle.open(folder)) | tests)
        served = Served(server)
        server.on_request = served.asked.append
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return served

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
