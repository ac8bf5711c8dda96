"""The server: the page, the bundle, ranges of bytes, and nothing else."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.bundle import Bundle
from runtime import serving
from runtime.serving import PageServer, routes_of
from tests.conftest import turbo_webnn
from tests.refusal import refusal
from tests.runtime.conftest import MakeBundle


@pytest.fixture
def bundle(make_bundle: MakeBundle) -> Bundle:
    bundle = make_bundle()
    (bundle.folder / "secret.txt").write_text("not in the manifest")
    return bundle


@pytest.fixture
def server(bundle: Bundle, node_modules: None) -> Iterator[PageServer]:
    with PageServer(routes_of(bundle)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def _get(server: PageServer, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1])
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def test_the_page_and_the_bundle_are_served_isolated(server: PageServer, bundle: Bundle) -> None:
    status, headers, page = _get(server, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html")
    assert b"<title>turbo-webnn</title>" in page
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    for file in bundle.files():
        status, _, body = _get(server, f"/bundle/{file.path}")
        assert (status, len(body)) == (200, file.bytes)
    assert json.loads(_get(server, "/bundle/manifest.json")[2])["format"] == 1


def test_every_name_of_the_import_map_is_served(server: PageServer) -> None:
    page = _get(server, "/")[2].decode()
    imports = json.loads(page.split('<script type="importmap">')[1].split("</script>")[0])["imports"]
    assert set(imports) == {"onnxruntime-web/webgpu", "@huggingface/tokenizers", "hash-wasm"}
    for url in (*imports.values(), "/npm/onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm"):
        status, headers, body = _get(server, url)
        assert status == 200
        assert headers["Content-Type"] == ("application/wasm" if url.endswith(".wasm") else "text/javascript")
        assert len(body) > 10_000


@pytest.mark.parametrize(
    "path",
    [
        "/bundle/secret.txt",
        "/bundle/../manifest.json",
        "/bundle/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/package.json",
        "/types.d.ts",
        "/npm/onnxruntime-web/package.json",
        "/bundle/",
    ],
)
def test_nothing_else_is_within_reach(server: PageServer, path: str) -> None:
    assert _get(server, path)[0] == 404


def test_ranges(server: PageServer, bundle: Bundle) -> None:
    file = next(bundle.files())
    whole = (bundle.folder / file.path).read_bytes()
    url = f"/bundle/{file.path}"
    status, headers, body = _get(server, url, Range="bytes=10-19")
    assert (status, body) == (206, whole[10:20])
    assert headers["Content-Range"] == f"bytes 10-19/{file.bytes}"
    assert _get(server, url, Range="bytes=10-")[2] == whole[10:]
    status, headers, body = _get(server, url, Range=f"bytes={file.bytes}-")
    assert (status, body, headers["Content-Range"]) == (416, b"", f"bytes */{file.bytes}")
    assert _get(server, url, Range="lines=1-2")[0] == 200


def test_what_has_not_changed_is_not_sent_again(server: PageServer, bundle: Bundle) -> None:
    path = "/bundle/manifest.json"
    _, headers, _ = _get(server, path)
    assert _get(server, path, **{"If-None-Match": headers["ETag"]})[::2] == (304, b"")
    manifest = bundle.folder / "manifest.json"
    manifest.write_text(manifest.read_text() + " ")
    assert _get(server, path, **{"If-None-Match": headers["ETag"]})[0] == 200


def test_a_port_that_is_taken_is_told(server: PageServer, bundle: Bundle) -> None:
    port = server.server_address[1]
    assert "give another --port" in refusal(PageServer, routes_of(bundle), "127.0.0.1", port)
    assert "cannot serve on 192.0.2.1:8017" in refusal(PageServer, {}, "192.0.2.1", 8017)


def test_packages_that_are_not_the_pinned_ones_are_told(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "MODULES", tmp_path / "node_modules")
    assert "onnxruntime-web 1.30.0 is not installed; run npm ci --ignore-scripts" in refusal(routes_of, bundle)
    package = tmp_path / "node_modules/onnxruntime-web/package.json"
    package.parent.mkdir(parents=True)
    package.write_text('{"version": "1.2.3"}')
    assert "onnxruntime-web is 1.2.3, the page is made for 1.30.0" in refusal(routes_of, bundle)


def test_the_command_serves_until_it_is_ended(bundle: Bundle, node_modules: None) -> None:
    words = [sys.executable, "-m", "scripts.cli", "serve", str(bundle.folder), "--port", "0", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = json.loads("".join(process.stdout.readline() for _ in range(3)))["url"]
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=10) as page:
            assert page.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_no_bundle_is_one_line(tmp_path: Path) -> None:
    done = turbo_webnn("serve", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "is not a bundle: it has no manifest.json; make one: turbo-webnn export" in done.stderr
