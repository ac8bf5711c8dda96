"""The server: the page, the bundle, ranges of bytes, and nothing else."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import hear_signals, run_command
from tests.refusal import refusal
from tests.runtime.conftest import MakeBundle
from turbo_webnn.models.bundle import FORMAT, Bundle
from turbo_webnn.runtime.serving import PageServer, routes, routes_of

MANIFEST = "/bundle/manifest.json"
MANY = "9" * 5000
ISOLATION = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


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


Answer = tuple[int, http.client.HTTPMessage, bytes]


def _ask(server: PageServer, path: str, method: str = "GET", **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def test_the_page_and_the_bundle_are_served(server: PageServer, bundle: Bundle) -> None:
    status, headers, page = _ask(server, "/")
    assert (status, headers["Content-Type"]) == (200, "text/html")
    assert b"<title>turbo-webnn</title>" in page
    for file in bundle.files():
        status, headers, body = _ask(server, f"/bundle/{file.path}")
        assert (status, len(body)) == (200, file.bytes)
        kind = "application/json" if file.path.endswith(".json") else "application/octet-stream"
        assert headers["Content-Type"] == kind  # nothing that a browser would run or show as a page
    assert json.loads(_ask(server, MANIFEST)[2])["format"] == FORMAT


def test_every_name_of_the_import_map_is_served(server: PageServer) -> None:
    page = _ask(server, "/")[2].decode()
    imports = json.loads(page.split('<script type="importmap">')[1].split("</script>")[0])["imports"]
    assert set(imports) == {"onnxruntime-web/webgpu", "@huggingface/tokenizers", "hash-wasm"}
    for url in (*imports.values(), "/npm/onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.wasm"):
        status, headers, body = _ask(server, url)
        assert status == 200
        assert headers["Content-Type"] == ("application/wasm" if url.endswith(".wasm") else "text/javascript")
        assert len(body) > 10_000


@pytest.mark.parametrize(
    ("status", "path", "method", "headers"),
    [
        (200, "/", "GET", {}),
        (200, "/", "HEAD", {}),
        (206, MANIFEST, "GET", {"Range": "bytes=0-5"}),
        (304, MANIFEST, "GET", {"If-None-Match": "*"}),
        (404, "/nothing", "GET", {}),
        (405, MANIFEST, "POST", {}),
        (405, MANIFEST, "OPTIONS", {"Origin": "http://evil.example", "Access-Control-Request-Method": "GET"}),
        (416, MANIFEST, "GET", {"Range": f"bytes={MANY}-"}),
        (421, MANIFEST, "GET", {"Host": "evil.example"}),
        (421, MANIFEST, "PUT", {"Host": "evil.example"}),
    ],
)
def test_every_answer_is_isolated(
    server: PageServer, status: int, path: str, method: str, headers: dict[str, str]
) -> None:
    found, answered, body = _ask(server, path, method, **headers)
    assert found == status
    assert {name: answered[name] for name in ISOLATION} == ISOLATION
    assert len(answered.get_all("Content-Security-Policy") or ()) == 1
    policy = answered["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self' 'wasm-unsafe-eval' 'sha256-")
    assert "Access-Control-Allow-Origin" not in answered
    if status >= 400:
        assert b"format" not in body
        assert body.count(b"\n") <= 1


def test_only_scripts_of_workers_may_evaluate(server: PageServer) -> None:
    evaluating = {
        path for path in server.routes if "'unsafe-eval'" in _ask(server, path, "HEAD")[1]["Content-Security-Policy"]
    }
    assert evaluating == routes.WORKERS


@pytest.mark.parametrize(
    "path",
    [
        "/bundle/secret.txt",
        "/bundle/../manifest.json",
        "/bundle/%2e%2e/%2e%2e/etc/passwd",
        "/bundle/manifest.json%00",
        "/bundle/manifest.json/",
        "//etc/passwd",
        "/package.json",
        "/types.d.ts",
        "/npm/onnxruntime-web/package.json",
        "/bundle/",
        "/bundle",
        f"/{'a' * 5000}",
    ],
)
def test_nothing_else_is_within_reach(server: PageServer, path: str) -> None:
    assert _ask(server, path)[0] == 404


def test_a_link_that_appears_later_and_leads_out_of_the_bundle_is_not_followed(
    server: PageServer, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret"
    secret.write_text("private")
    file = next(bundle.files())
    (bundle.folder / file.path).unlink()
    (bundle.folder / file.path).symlink_to(secret)
    status, _, body = _ask(server, f"/bundle/{file.path}")
    assert status == 404
    assert b"private" not in body


def test_ranges(server: PageServer, bundle: Bundle) -> None:
    file = next(bundle.files())
    whole = (bundle.folder / file.path).read_bytes()
    url = f"/bundle/{file.path}"
    status, headers, body = _ask(server, url, Range="bytes=10-19")
    assert (status, body) == (206, whole[10:20])
    assert headers["Content-Range"] == f"bytes 10-19/{file.bytes}"
    assert _ask(server, url, Range="bytes=10-")[2] == whole[10:]
    assert _ask(server, url, Range="bytes=-10")[2] == whole[-10:]
    for nonsense in (f"bytes={file.bytes}-", f"bytes={MANY}-", "bytes=9-1", "bytes=x"):
        status, headers, body = _ask(server, url, Range=nonsense)
        assert (status, body, headers["Content-Range"]) == (416, b"", f"bytes */{file.bytes}")
    for ignored in ("lines=1-2", "bytes=1-2,4-5"):
        assert _ask(server, url, Range=ignored)[::2] == (200, whole)
    status, headers, body = _ask(server, url, "HEAD", Range="bytes=10-19")
    assert (status, headers["Content-Length"], body) == (200, str(file.bytes), b"")


def test_what_has_not_changed_is_not_sent_again(server: PageServer, bundle: Bundle) -> None:
    _, headers, whole = _ask(server, MANIFEST)
    etag, date = headers["ETag"], headers["Last-Modified"]
    for condition in ({"If-None-Match": etag}, {"If-Modified-Since": date}):
        assert _ask(server, MANIFEST, **condition)[::2] == (304, b"")
    assert _ask(server, MANIFEST, **{"Range": "bytes=0-5", "If-Range": etag})[::2] == (206, whole[:6])
    for stale in ('"stale"', f"W/{etag}", date):
        assert _ask(server, MANIFEST, **{"Range": "bytes=0-5", "If-Range": stale})[::2] == (200, whole)
    manifest = bundle.folder / "manifest.json"
    manifest.write_text(manifest.read_text() + " ")
    assert _ask(server, MANIFEST, **{"If-None-Match": etag})[0] == 200
    assert _ask(server, MANIFEST, **{"Range": "bytes=0-5", "If-Range": etag})[::2] == (200, whole + b" ")


@pytest.mark.parametrize("host", ["::1", "localhost", "0.0.0.0", "::"])
def test_other_addresses_of_this_machine(bundle: Bundle, node_modules: None, host: str) -> None:
    if ":" in host and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    with PageServer(routes_of(bundle), host) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with urllib.request.urlopen(server.url, timeout=10) as page:
            assert page.status == 200
        server.shutdown()


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_a_place_that_is_not_free_is_told(server: PageServer, bundle: Bundle) -> None:
    port = server.server_address[1]
    assert "give another --port" in refusal(PageServer, routes_of(bundle), "127.0.0.1", port)
    for host in ("192.0.2.1", "no such host", "", "a" * 300):
        assert "give an address of this machine as --host" in refusal(PageServer, {}, host, 8017)


def test_packages_that_are_not_the_pinned_ones_are_told(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MODULES", tmp_path / "node_modules")
    assert "onnxruntime-web 1.30.0 is not installed; run npm ci --ignore-scripts" in refusal(routes_of, bundle)
    package = tmp_path / "node_modules/onnxruntime-web/package.json"
    package.parent.mkdir(parents=True)
    package.write_text('{"version": "1.2.3"}')
    assert "onnxruntime-web is 1.2.3, the page is made for 1.30.0" in refusal(routes_of, bundle)
    for damaged in ("", "{", "[]", '{"version": 1}', "{}", "\udcff"):
        package.write_text(damaged, errors="surrogateescape")
        assert "run npm ci --ignore-scripts" in refusal(routes_of, bundle)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_command_serves_until_it_is_ended(bundle: Bundle, node_modules: None, number: signal.Signals) -> None:
    words = [sys.executable, "-m", "turbo_webnn.scripts.cli", "serve", str(bundle.folder), "--port", "0", "--json"]
    environment = {**os.environ, "WEB_CONCURRENCY": "many"}  # which uvicorn would read
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, env=environment, preexec_fn=hear_signals)
    try:
        assert process.stdout is not None
        url = json.loads("".join(process.stdout.readline() for _ in range(3)))["url"]
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(url, timeout=10) as page:
            assert page.status == 200
            process.send_signal(number)
            printed = process.communicate(timeout=10)
        assert (process.returncode, printed) == (0, ("", ""))
    finally:
        process.kill()
        process.communicate()


def test_what_cannot_be_served_is_one_line(tmp_path: Path, bundle: Bundle, node_modules: None) -> None:
    done = run_command("serve", tmp_path / "nothing")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "is not a bundle: it has no manifest.json; make one: turbo-webnn export" in done.stderr
    done = run_command("serve", bundle.folder, "--host", "192.0.2.1")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
