"""Requests of any form to `serve`: each gets an answer or a closed connection, and the next one is served."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.answers import SHORT

LIMIT_S = 5

UNSHRUNK = settings(SHORT, phases=[Phase.generate])
"""An example that waits for an answer in vain takes its time: it is told as it is."""

MANIFEST = "/bundle/manifest.json"

_NUMBERS = st.one_of(st.integers(0, 2**70).map(str), st.sampled_from(["9" * 5000, "-1", "", "x", "²"]))

RANGES = st.one_of(
    st.builds("bytes={}-{}".format, _NUMBERS, _NUMBERS),
    st.lists(st.builds("{}-{}".format, _NUMBERS, _NUMBERS), max_size=300).map(lambda spans: f"bytes={','.join(spans)}"),
    st.sampled_from(["bytes=", "bytes", "items=0-1", "bytes=0-0,-1", "bytes==0-1", "bytes=0 -1", "=", ""]),
)

PATHS = st.one_of(
    st.sampled_from(["/", MANIFEST, "/bundle/", "//", "/..", "/bundle/../../etc/passwd", "/bundle/%2e%2e/%2e%2e/x"]),
    st.sampled_from(["*", "http://127.0.0.1/", "http://elsewhere/", "/%00", "/%ff", "/a" * 4000, "/bundle\\x.json"]),
    st.text(max_size=40).map(lambda text: f"/{text}"),
)

METHODS = st.sampled_from(["GET", "GET", "HEAD", "POST", "OPTIONS", "TRACE", "gEt", "", "A" * 300])

HEADERS = st.one_of(
    st.tuples(st.just("Range"), RANGES),
    st.tuples(st.sampled_from(["If-Range", "If-None-Match", "If-Modified-Since"]), st.text(max_size=60)),
    st.tuples(st.just("Host"), st.sampled_from(["127.0.0.1", "localhost:1", "evil.example", "", "[::1", "a b", "é"])),
    st.tuples(st.sampled_from(["Content-Length", "Transfer-Encoding", "Connection", "Expect", "Upgrade"]), _NUMBERS),
    st.tuples(st.text(max_size=20), st.text(max_size=60)),
)


@pytest.fixture(scope="module")
def address(good: Path, node_modules: None) -> Iterator[tuple[str, int]]:
    """Where `serve` listens; at the end it must not have printed a traceback."""
    words = [sys.executable, "-m", "turbo_webnn.scripts.cli", "serve", str(good), "--port", "0", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = urlsplit(json.loads("".join(process.stdout.readline() for _ in range(3)))["url"])
        try:
            yield str(url.hostname), int(url.port or 0)
        finally:
            process.terminate()
            printed = process.stderr.read()
    assert "Traceback" not in printed


def answer(address: tuple[str, int], request: bytes, *, whole: bool = True) -> bytes:
    """What the server sends until it closes; at most a megabyte.

    Args:
        whole: whether the request is whole and asks for a close; the server is told the end of another one.
    """
    received = b""
    with socket.create_connection(address, timeout=LIMIT_S) as connection:
        try:
            connection.sendall(request)
            if not whole:
                connection.shutdown(socket.SHUT_WR)
            while len(received) < 1_000_000 and (part := connection.recv(1 << 16)):
                received += part
        except (ConnectionResetError, BrokenPipeError):
            pass
    return received


def require_good(address: tuple[str, int], received: bytes) -> None:
    """An answer is one, says no word of a defect, and does not end the server."""
    if received:
        status = re.match(rb"HTTP/1\.[01] (\d{3}) ", received)
        assert status is not None, received[:200]
        assert int(status[1]) < 500 or status[1] in (b"501", b"505"), received[:200]
    host = f"{address[0]}:{address[1]}".encode()
    good = answer(address, b"GET /bundle/manifest.json HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
    assert good.startswith(b"HTTP/1.1 200 ")


@UNSHRUNK
@given(METHODS, PATHS, st.lists(HEADERS))
def test_requests_of_any_form(address: tuple[str, int], method: str, path: str, headers: list[tuple[str, str]]) -> None:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    require_good(address, answer(address, "\r\n".join(lines).encode("utf-8", "surrogatepass"), whole=False))


@UNSHRUNK
@given(st.binary(max_size=2000))
def test_bytes_of_any_form(address: tuple[str, int], request_bytes: bytes) -> None:
    require_good(address, answer(address, request_bytes, whole=False))


@UNSHRUNK
@given(RANGES)
def test_ranges_of_any_form(address: tuple[str, int], good: Path, span: str) -> None:
    whole = (good / "manifest.json").read_bytes()
    host = f"{address[0]}:{address[1]}"
    request = f"GET {MANIFEST} HTTP/1.1\r\nHost: {host}\r\nRange: {span}\r\nConnection: close\r\n\r\n"
    head, _, body = answer(address, request.encode()).partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1] if head else b""
    assert status in (b"200", b"206", b"400", b"416"), head[:200]
    if status == b"200":
        assert body == whole
    if status == b"206" and b"multipart/" not in head:
        assert body
        assert body in whole
