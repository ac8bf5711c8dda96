"""Hubs that are slow, failing or hostile: one line each, in bounded time, and nothing of theirs in the cache."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.models.hub_server import Fault, HubServer, Repository, listing_of
from tests.models.hub_user import NAME, OFFLINE, TEXT, User
from tests.refusal import refusal
from turbo_webnn.models.source import open_source

IMPATIENT = {"HF_HUB_DOWNLOAD_TIMEOUT": "1", "HF_HUB_ETAG_TIMEOUT": "1"}

ONE: dict[str, Any] = {"components": ["text_encoder"]}

PLACES = {
    "a description": ("GET", f"/api/models/{NAME}/revision/main"),
    "a listing": ("GET", f"/api/models/{NAME}/tree/"),
    "a file's headers": ("HEAD", "/resolve/"),
    "a file": ("GET", f"{TEXT}.safetensors"),
}


def at(place: str, answer: Callable[[Any], object]) -> Fault:
    """The fault that gives `answer` in one of `PLACES`, and lets all else pass."""
    method, part = PLACES[place]

    def fault(request: Any) -> bool:
        if request.command != method or part not in request.path:
            return False
        answer(request)
        return True

    return fault


def status(code: int, headers: Mapping[str, str] = MappingProxyType({})) -> Callable[[Any], object]:
    return lambda request: request._send(HTTPStatus(code), b"", headers)


def silence(request: Any) -> None:
    request.hub.closing.wait(20)


def a_part(request: Any) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    request.wfile.write(b"part")
    request.wfile.flush()


def a_part_and_silence(request: Any) -> None:
    a_part(request)
    silence(request)


@pytest.mark.parametrize(
    ("place", "code", "said"),
    [
        ("a description", 429, "the hub asks to slow down (429)"),
        *((place, 503, "the hub is failing (503)") for place in PLACES),
    ],
)
def test_a_hub_that_fails_is_asked_a_few_times(
    hub: HubServer, user: User, turbo: Repository, place: str, code: int, said: str
) -> None:
    hub.fault = at(place, status(code))
    told = f"fetching {NAME} failed ({said}); try again: files that arrived whole are kept"
    assert user.refused(**ONE) == told
    method, part = PLACES[place]
    asked = [request.path for request in hub.requests if request.method == method and part in request.path]
    assert 4 <= max(asked.count(path) for path in asked) <= 5


def test_a_hub_that_fails_twice_is_no_failure(hub: HubServer, user: User, turbo: Repository) -> None:
    failed: dict[str, int] = {}

    def fault(request: Any) -> bool:
        key = f"{request.command} {request.path}"
        failed[key] = failed.get(key, 0) + 1
        if failed[key] <= 2:
            request._send(HTTPStatus(429 if failed[key] == 1 else 502), b"", {"Retry-After": "1"})
        return failed[key] <= 2

    hub.fault = fault
    assert user.open(**ONE).revision == turbo.refs["main"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "86400"},
        {"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"},
        {"ratelimit": '"api";r=0;t=3600'},
    ],
)
def test_a_hub_that_asks_for_a_long_pause(
    hub: HubServer, user: User, turbo: Repository, headers: dict[str, str]
) -> None:
    hub.fault = at("a description", status(429, headers))
    assert "(the hub asks to slow down (429) and to wait " in user.refused(**ONE)
    assert len([request for request in hub.requests if NAME in request.path]) == 1


def test_a_hub_that_fails_matters_not_to_a_whole_cache(hub: HubServer, user: User, turbo: Repository) -> None:
    first = user.open(**ONE)
    hub.fault = at("a description", status(503))
    assert user.open(**ONE) == first


@pytest.mark.parametrize(
    ("place", "answer", "said"),
    [
        ("a description", silence, "the hub sends nothing for 1 s"),
        ("a file", silence, "the hub sends nothing for 1 s"),
        ("a listing", a_part, "the hub ended the connection early"),
        ("a file", a_part_and_silence, "the hub sends nothing for 1 s"),
    ],
)
def test_a_hub_that_falls_silent(
    hub: HubServer, user: User, turbo: Repository, place: str, answer: Callable[[Any], object], said: str
) -> None:
    hub.fault = at(place, answer)
    began = time.monotonic()
    assert f"fetching {NAME} failed ({said}); try again" in user.refused(environment=IMPATIENT, **ONE)
    assert time.monotonic() - began < 15


def changed(path: str, contents: bytes) -> Fault:
    """A mirror that changes one byte of the file `path`."""
    wrong = bytearray(contents)
    wrong[-1000 % len(wrong)] ^= 0x40

    def fault(request: Any) -> bool:
        if request.command != "GET" or not request.path.endswith(path):
            return False
        request._send(HTTPStatus.OK, bytes(wrong), {"ETag": '"x"'})
        return True

    return fault


def wrong_blobs(home: Path) -> list[Path]:
    blobs = (path for path in home.rglob("blobs/*") if len(path.name) == 64)
    return [path for path in blobs if hashlib.sha256(path.read_bytes()).hexdigest() != path.name]


@pytest.mark.parametrize("path", [f"{TEXT}.safetensors", "unet/config.json", "model_index.json"])
def test_other_bytes_than_the_hub_states_leave_the_cache(
    hub: HubServer, user: User, turbo: Repository, files: dict[str, bytes], path: str, tmp_path: Path
) -> None:
    hub.fault = changed(path, files[path])
    assert user.refused(**ONE) == (
        f"{path} of {NAME} has other bytes than the hub states; it was removed from the cache; "
        "try again, or check HF_ENDPOINT and the network"
    )
    assert wrong_blobs(tmp_path) == []
    assert not list(tmp_path.rglob(path))


def test_a_disk_that_changes_the_cache_later(hub: HubServer, user: User, turbo: Repository, tmp_path: Path) -> None:
    path = f"{TEXT}.safetensors"
    user.open(**ONE)
    hub.fetched()
    [blob] = {link.resolve() for link in tmp_path.rglob(path)}
    blob.write_bytes(blob.read_bytes()[:-1] + b"~")
    assert "has other bytes than the hub states" in user.refused(environment=OFFLINE, **ONE)
    assert not blob.exists()
    assert user.open(**ONE)
    assert hub.fetched() == {path}


@pytest.mark.parametrize(
    ("header", "path"),
    [("ETag", "README.md"), ("X-Linked-Etag", f"{TEXT}.safetensors"), ("X-Repo-Commit", "unet/config.json")],
)
def test_headers_with_a_path_in_them_reach_no_cache(
    hub: HubServer, user: User, turbo: Repository, files: dict[str, bytes], header: str, path: str, tmp_path: Path
) -> None:
    def fault(request: Any) -> bool:
        if "/resolve/" not in request.path or not request.path.endswith(path):
            return False
        headers = {"ETag": f'"{"0" * 40}"', "X-Repo-Commit": turbo.refs["main"], header: "../../../../outside"}
        request._send(HTTPStatus.OK, files[path], headers)
        return True

    hub.fault = fault
    assert "'../../../../outside', which is no" in user.refused(**ONE)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert not list(tmp_path.rglob("*outside*"))


def test_a_commit_with_a_path_in_it_reaches_no_cache(
    hub: HubServer, user: User, turbo: Repository, tmp_path: Path
) -> None:
    hub.fault = at("a description", lambda request: request.send_json({"id": NAME, "sha": "../../../../outside"}))
    assert "the commit '../../../../outside', which is no id of git's" in user.refused()
    assert not list(tmp_path.rglob("*outside*"))


@pytest.mark.parametrize("revision", ["../../outside", "a/../b", "a//b", "a\\b", "", "/main", "a\0", "a\nb"])
def test_a_revision_with_a_path_in_it(revision: str) -> None:
    assert "has no revision" in refusal(open_source, NAME, revision=revision)


@pytest.mark.parametrize(
    ("place", "answer", "said"),
    [
        ("a description", b"<html>Welcome</html>", "no JSON that can be read"),
        ("a listing", b'[{"type": "file", "path": "a", "oid": 7, "size": 1}]', "a listing with oid = 7"),
        ("a listing", b'{"error": "no"}', "a listing that is an object"),
    ],
)
def test_answers_of_another_form(
    hub: HubServer, user: User, turbo: Repository, place: str, answer: bytes, said: str
) -> None:
    hub.fault = at(place, lambda request: request._send(HTTPStatus.OK, answer, {}))
    assert user.refused() == f"fetching {NAME} failed: the answer is not a hub's (it has {said}); check HF_ENDPOINT"


@pytest.mark.parametrize("place", ["a description", "a file's headers"])
def test_redirects_without_end(hub: HubServer, user: User, turbo: Repository, place: str) -> None:
    hub.fault = at(place, lambda request: request._send(HTTPStatus.FOUND, b"", {"Location": request.path}))
    assert user.refused(**ONE).startswith(f"fetching {NAME} failed (Exceeded")


def test_a_listing_without_end(hub: HubServer, user: User, turbo: Repository) -> None:
    def more(request: Any) -> None:
        request.send_json([], {"Link": f'<{hub.endpoint}{request.path}>; rel="next"'})

    hub.fault = at("a listing", more)
    assert "(it has a listing that does not end)" in user.refused()


def test_contents_that_nobody_asked_to_compress(hub: HubServer, user: User, turbo: Repository) -> None:
    hub.fault = at("a listing", lambda request: request._send(HTTPStatus.OK, b"", {"Content-Encoding": "gzip"}))
    assert "compressed contents" in user.refused()


@pytest.mark.parametrize("place", ["a description", "a listing", "a file's headers"])
def test_a_token_stays_with_the_hub(hub: HubServer, user: User, turbo: Repository, place: str) -> None:
    turbo.token = "secret"

    def elsewhere(request: Any) -> None:
        place = f"http://localhost:{hub.port}{request.path}"
        if place.startswith("http://localhost") and request.headers["Host"].startswith("localhost"):
            request._send(HTTPStatus.NOT_FOUND, b"", {})
        else:
            request._send(HTTPStatus.FOUND, b"", {"Location": place, "Link": f'<{place}>; rel="next"'})

    hub.fault = at(place, elsewhere)
    user.refused(environment={"HF_TOKEN": "secret"})
    assert any(request.authorized for request in hub.requests)
    assert not any(request.authorized for request in hub.requests if request.host.startswith("localhost"))


def test_a_listing_that_goes_on_elsewhere_brings_no_token_there(
    hub: HubServer, user: User, turbo: Repository, files: dict[str, bytes]
) -> None:
    turbo.token = "secret"

    def more(request: Any) -> None:
        link = {"Link": f'<http://localhost:{hub.port}{request.path}>; rel="next"'}
        away = request.headers["Host"].startswith("localhost")
        request.send_json(listing_of(files) if away else [], {} if away else link)

    hub.fault = at("a listing", more)
    assert user.open(environment={"HF_TOKEN": "secret"}, **ONE).revision == turbo.refs["main"]
    away = [request for request in hub.requests if request.host.startswith("localhost")]
    assert away
    assert not any(request.authorized for request in away)
