"""The server that a browser under test reads graphs from: for that browser alone, whatever else asks."""

from __future__ import annotations

import http.client
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import turbo_webnn.runtime.webnn

SERVE = Path(turbo_webnn.runtime.webnn.__file__).parent / "web" / "serve.mjs"
START = """
const [module, read, gone, written] = process.argv.slice(1);
const { serve } = await import(module);
const { origin } = await serve(new Map([['/file', read], ['/gone', gone]]), new Map([['/put', written]]));
console.log(origin);
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    (folder / "file").write_bytes(b"0123456789")
    paths = [str(folder / name) for name in ("file", "gone", "written")]
    words = ["node", "--input-type=module", "-e", START, SERVE.as_uri(), *paths]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        yield urlsplit(node.stdout.readline().strip()).port or 0
        assert node.poll() is None  # nothing that was asked has ended it
        node.kill()


def _ask(
    port: int, path: str, method: str = "GET", host: str = "127.0.0.1", **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    for name, value in {"Host": f"{host}:{port}", **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(b"new" if method == "PUT" else None)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


@pytest.mark.parametrize(
    ("status", "path", "headers"),
    [
        (200, "/file", {}),
        (200, "/file?again", {}),
        (206, "/file", {"Range": "bytes=2-4"}),
        (416, "/file", {"Range": "bytes=10-"}),
        (416, "/file", {"Range": f"bytes={'9' * 5000}-"}),
        (404, "/gone", {}),
        (404, "/put", {}),
        (404, "//", {}),
        (404, "/../file", {}),
        (404, "http://[", {}),
    ],
)
def test_every_answer_is_isolated(port: int, status: int, path: str, headers: dict[str, str]) -> None:
    answered, found, body = _ask(port, path, **headers)
    assert answered == status
    assert found["Cross-Origin-Resource-Policy"] == found["Cross-Origin-Opener-Policy"] == "same-origin"
    assert body == {200: b"0123456789", 206: b"234"}.get(status, b"")


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1.evil.example", ""])
@pytest.mark.parametrize(("method", "path"), [("GET", "/file"), ("PUT", "/put")])
def test_another_host_neither_reads_nor_writes(port: int, folder: Path, host: str, method: str, path: str) -> None:
    assert _ask(port, path, method, host, **{"Content-Length": "3"})[::2] == (421, b"")
    assert not (folder / "written").exists()
