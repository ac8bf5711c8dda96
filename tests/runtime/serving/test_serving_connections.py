"""Readers that send nonsense, are slow, leave, or come in crowds: each costs its own connection alone."""

from __future__ import annotations

import http.client
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.serving.test_serving import ISOLATION
from turbo_webnn.runtime.serving import PageServer, ServedFile, connection

SIZE = 100_000_000
SHORT_S = 0.2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"0123456789")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(SIZE)  # takes no room
    return tmp_path


@pytest.fixture
def server(folder: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[PageServer]:
    """A server of two files, which is alive at the end, has let go of all files, and has said nothing."""
    with PageServer({f"/{name}": ServedFile.of(folder, name) for name in ("file", "large")}) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        assert _exchange(server, _request("/file")).endswith(b"\r\n\r\n0123456789")
        server.shutdown()
    if Path("/proc/self/fd").is_dir():
        assert not [path for path in map(_target, Path("/proc/self/fd").iterdir()) if path == folder / "large"]
    assert capfd.readouterr() == ("", "")


def _target(link: Path) -> Path | None:
    try:
        return link.readlink()
    except OSError:
        return None


def _request(path: str, *headers: str, version: str = "1.1") -> bytes:
    lines = [f"GET {path} HTTP/{version}", "Host: localhost", *headers, "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1")


KEPT = _request("/file").replace(b"Connection: close\r\n", b"")
"""A request whose connection is to last."""


def _connect(server: PageServer) -> socket.socket:
    return socket.create_connection(server.server_address, timeout=10)


def _exchange(server: PageServer, sent: bytes) -> bytes:
    """All that comes back of what is sent, until the server ends the connection."""
    with _connect(server) as client:
        client.sendall(sent)
        return _rest(client)


def _rest(client: socket.socket) -> bytes:
    parts = []
    try:
        while part := client.recv(1 << 20):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # a TLS client
        (b"GET /file HTTP/1.1\r\n\r\n", 400),  # without a host
        (b"GET /file HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET /file HTTP/x\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /fi\x00le HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /file HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n", 400),
        (b"GET /file HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /file HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: odd\r\n\r\n", 400),
        (b"GET /" + b"a" * 100_000, 400),
        (b"GET /file HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000, 400),
        (b"GET /file HTTP/1.0\r\n\r\n", 421),
        (_request("/file").replace(b"localhost", b"\xff\xfe"), 421),
        (_request("/file", version="1.0"), 200),
        (_request("http://localhost:8017/file"), 200),
        (_request("http://evil.example/file"), 421),
        (_request("http://"), 421),
        (_request("*"), 404),
        (_request("/%ff%fe%00"), 404),
        (_request("/file?" + "a" * 1000), 200),
        (_request("/file", "Range: bytes=" + "9" * 5000 + "-"), 416),
        (_request("/file", "Range: bytes=0-1", "Range: bytes=0-1"), 416),
        (_request("/file", "Range: bytes=\xb2-\xb3"), 416),
        (_request("/file", "Range: bytes=" + "0-0," * 5000), 200),
        (_request("/file", "If-Modified-Since: " + "9" * 5000), 200),
        (_request("/file", "Upgrade: websocket", "Connection: upgrade"), 200),
        (_request("/file", "Upgrade: h2c", "Connection: upgrade, HTTP2-Settings", "HTTP2-Settings: AA"), 200),
        (_request("/file", "Expect: 100-continue", "Content-Length: 10"), 200),
        (_request("/file", "Content-Length: 3") + b"abc", 200),
        (_request("/file").replace(b"GET /file", b"CONNECT evil.example:443"), 405),
        (_request("/file").replace(b"GET", b"get"), 405),
        (_request("/file").replace(b"GET", b"PRI"), 405),
    ],
)
def test_nonsense_is_answered_with_a_status(server: PageServer, sent: bytes, status: int) -> None:
    with _connect(server) as client:
        client.sendall(sent)
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.status == status
        assert {name: answer.headers[name] for name in ISOLATION} == ISOLATION
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert len(answer.read()) < 200


def test_nonsense_in_the_middle_of_an_answer_ends_it(server: PageServer) -> None:
    head = KEPT.replace(b"/file", b"/large").replace(b"localhost", b"localhost\r\nTransfer-Encoding: chunked")
    assert len(_exchange(server, head + b"not a chunk\r\n\r\n")) < SIZE


def test_bytes_of_any_kind(server: PageServer) -> None:
    random_bytes = random.Random(7)
    request = _request("/file", "Range: bytes=2-4", 'If-Range: "a"', "If-None-Match: *", "Content-Length: 0")
    for _ in range(200):
        sent = bytearray(request)
        for _ in range(random_bytes.randint(1, 8)):
            at = random_bytes.randrange(len(sent))
            sent[at : at + random_bytes.randint(0, 4)] = random_bytes.randbytes(random_bytes.randint(0, 4))
        with _connect(server) as client:
            client.sendall(sent + b"\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            _rest(client)


def test_requests_that_come_at_once_are_answered_in_turn(server: PageServer) -> None:
    answer = _exchange(server, KEPT * 3 + _request("/file"))
    assert answer.count(b"HTTP/1.1 200 OK") == answer.count(b"\r\n\r\n0123456789") == 4


SLOW = [
    b"",
    b"GET /file HTTP/1.1\r\nHost: loc",
    KEPT,
    KEPT + b"GET /fi",
    KEPT.replace(b"localhost", b"localhost\r\nContent-Length: 1000") + b"abc",
    KEPT.replace(b"/file", b"/large"),  # whose answer is not read
]


@pytest.mark.parametrize("sent", SLOW)
def test_a_reader_that_does_nothing_more_is_left(
    server: PageServer, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", SHORT_S)
    monkeypatch.setattr(connection, "READING_S", SHORT_S)
    with _connect(server) as client:
        client.sendall(sent)
        time.sleep(3 * SHORT_S)
        assert len(_rest(client)) < SIZE


@pytest.mark.parametrize("sent", SLOW)
def test_a_reader_that_sends_byte_by_byte_is_left(
    server: PageServer, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connection, "REQUEST_S", SHORT_S)
    monkeypatch.setattr(connection, "READING_S", SHORT_S)
    with _connect(server) as client:
        client.sendall(sent)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            _trickle(client)


def _trickle(client: socket.socket) -> None:
    """Send byte by byte, for as long as the connection lasts, and at most for five seconds."""
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        client.send(b"a")
        time.sleep(SHORT_S / 10)


def test_a_crowd_is_bounded(server: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 5)
    clients = [_connect(server) for _ in range(5)]
    assert _exchange(server, _request("/file")) == b""
    for client in clients:
        client.sendall(_request("/file"))
        assert _rest(client).endswith(b"0123456789")
        client.close()


def test_a_reader_that_leaves_costs_nothing(server: PageServer) -> None:
    for _ in range(5):
        with _connect(server) as client:
            client.sendall(_request("/large"))
            client.recv(1000)


@pytest.mark.parametrize("ranged", [(), ("Range: bytes=1000-",)])
def test_a_file_that_shrinks_ends_the_connection(server: PageServer, folder: Path, ranged: tuple[str, ...]) -> None:
    with _connect(server) as client:
        client.sendall(_request("/large", *ranged))
        answer = http.client.HTTPResponse(client)
        answer.begin()
        os.truncate(folder / "large", 1000)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            answer.read()


def test_the_server_ends_while_a_file_is_sent(folder: Path) -> None:
    with PageServer({"/large": ServedFile.of(folder, "large")}) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        with _connect(server) as client:
            client.sendall(_request("/large"))
            client.recv(1000)
            server.shutdown()
            assert len(_rest(client)) < SIZE
        serving.join(5)
        assert not serving.is_alive()
