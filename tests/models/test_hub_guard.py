"""What a hub may answer, and how long it may take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx2
import pytest
from huggingface_hub.utils import close_session, get_session

from turbo_webnn.models.hub import guard
from turbo_webnn.models.hub.answers import (
    WrongAnswerError,
    listed_file,
    require_commit,
    require_etag,
    require_model_info,
    require_tree,
)
from turbo_webnn.models.hub.guard import Guard, HubFailure

SHA1, SHA256 = "0123456789" * 4, "0123456789abcdef" * 4
REQUEST = httpx2.Request("GET", "http://127.0.0.1/file")


@pytest.mark.parametrize("value", [SHA1, f'"{SHA1}"', f'"{SHA256}"', f'W/"{SHA1}"'])
def test_an_etag_is_a_digest(value: str) -> None:
    require_etag(value)


@pytest.mark.parametrize(
    "value",
    [
        *("", '""', "x", '"../../x"', f'"../{SHA1}"', f'"{SHA1}/.."', f'"{SHA256}0"', f'"{SHA1}', f'"W/{SHA1}"'),
        *("a\\b", f"{SHA1}\0", f"{SHA1}\n", SHA256.upper(), "x" * 5000),
    ],
)
def test_another_etag_is_none(value: str) -> None:
    with pytest.raises(WrongAnswerError, match="ETag"):
        require_etag(value)


@pytest.mark.parametrize("value", [None, 7, "", SHA256, SHA1.replace("0", "A"), f"../{SHA1}", f"{SHA1}\n", [SHA1]])
def test_a_commit_is_an_id_of_gits(value: object) -> None:
    require_commit(SHA1)
    require_model_info({"sha": SHA1})
    with pytest.raises(WrongAnswerError):
        require_commit(value)
    with pytest.raises(WrongAnswerError):
        require_model_info({"sha": value})
    with pytest.raises(WrongAnswerError):
        require_model_info(value)


FILE: dict[str, Any] = {"type": "file", "path": "unet/config.json", "size": 3, "oid": SHA1}
WRONG_LFS: list[object] = [7, [], {}, {"oid": SHA1}, {"oid": f"../{SHA256}"}, {"oid": None}]
LARGE: dict[str, Any] = FILE | {"lfs": {"oid": SHA256, "size": 3, "pointerSize": 100}}


@pytest.mark.parametrize("entry", [FILE, LARGE, {"type": "directory", "path": "unet", "oid": SHA1}])
def test_a_listing(entry: dict[str, Any]) -> None:
    require_tree([entry])


@pytest.mark.parametrize(
    "answer",
    [
        {},
        None,
        7,
        [7],
        [[FILE]],
        *([FILE | {"path": path}] for path in ("", None, 7, "../x", "a/../../x", "/x", "C:/x", "a\\..\\x", "\\x")),
        *([FILE | {"path": path}] for path in ("a\0", "x" * 5000, "unet/..")),
        *([FILE | {"size": size}] for size in (-1, 1.5, "3", None, True, 10**400)),
        *([FILE | {"oid": oid}] for oid in ("", None, 7, f"../{SHA1}")),
        *([FILE | {"lfs": lfs}] for lfs in WRONG_LFS),
    ],
)
def test_what_is_no_listing(answer: object) -> None:
    with pytest.raises(WrongAnswerError) as told:
        require_tree(answer)
    assert len(str(told.value)) < 300


def test_a_listed_file() -> None:
    assert listed_file(3, SHA1, None).sha256 is None
    assert listed_file(3, SHA1, SHA256).bytes == 3


class Trickle(httpx2.SyncByteStream):
    def __init__(self, chunks: int, chunk: bytes, pause: float) -> None:
        self.chunks, self.chunk, self.pause = chunks, chunk, pause

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(self.chunks):
            time.sleep(self.pause)
            yield self.chunk


def test_a_body_of_a_byte_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LIMIT_S", 0.05)
    shared = Guard()
    enough = guard._BoundedStream(Trickle(10, bytes(guard.MIN_BYTES), 0.02), REQUEST, 1 << 30, shared)
    assert sum(map(len, enough)) == 10 * guard.MIN_BYTES
    slow = guard._BoundedStream(Trickle(1000, b".", 0.01), REQUEST, 1 << 30, shared)
    began = time.monotonic()
    for _ in range(guard.BODY_TRIES - 1):
        with pytest.raises(httpx2.ReadTimeout):
            list(slow)
    with pytest.raises(HubFailure, match="answers too slowly"):
        list(slow)
    assert time.monotonic() - began < 2


def test_headers_of_a_byte_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "ANSWER_S", 0.1)
    sent: list[httpx2.Request] = []

    def send(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        time.sleep(0.5)
        return httpx2.Response(200, request=request)

    shared = Guard()
    monkeypatch.setattr(time, "sleep", partial(lambda slept, seconds: slept(min(seconds, 0.5)), time.sleep))
    for _ in range(2):
        with pytest.raises(HubFailure, match="answers too slowly"):
            shared._send(send, REQUEST, {})
    assert len(sent) == guard.SILENT_TRIES


def test_a_body_that_does_not_end() -> None:
    endless = guard._BoundedStream(Trickle(1 << 30, bytes(1000), 0), REQUEST, 10_000, Guard())
    with pytest.raises(WrongAnswerError, match=r"more than the 0\.0 MB"):
        list(endless)


def test_the_librarys_client_is_left_as_it_was() -> None:
    close_session()
    before = get_session().event_hooks
    with Guard().installed():
        guarded = get_session().event_hooks
    after = get_session().event_hooks
    assert after == before
    assert len(guarded["request"]) == len(before["request"]) + 1
    close_session()


def test_each_request_has_a_time_limit() -> None:
    request = httpx2.Request("GET", "http://127.0.0.1/", extensions={"timeout": {"read": 600.0, "connect": None}})
    Guard()._prepare(request)
    assert request.extensions["timeout"] == dict.fromkeys(("connect", "read", "write", "pool"), guard.LIMIT_S)
