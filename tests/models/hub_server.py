"""A hub on this machine: as much of the hub's protocol as fetching a snapshot speaks, and a record of it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

_LARGE = (".safetensors", ".bin", ".ckpt", ".msgpack")


class Asked(NamedTuple):
    """One request for a file; `authorized` is whether it brought a token."""

    method: str
    file: str
    authorized: bool


@dataclass
class Repository:
    """A model's files, commit by commit. `token` is whose it is: everything needs it, or the files where gated."""

    commits: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    token: str | None = None
    gated: bool = False

    def commit(self, files: Mapping[str, bytes], *refs: str) -> str:
        """Add a commit with `files`, which the branches and tags `refs` then name."""
        digest = hashlib.sha1(str(len(self.commits)).encode())
        for path, held in sorted(files.items()):
            digest.update(path.encode() + held)
        commit = digest.hexdigest()
        self.commits[commit] = dict(files)
        self.refs |= dict.fromkeys(refs, commit)
        return commit


class HubServer:
    """Serves `repositories` until it is closed.

    Attributes:
        asked: every request for a file, in order.
        dies_in: a file in whose middle the server falls silent, for as long as `alive` stays false.
        fault: called for each request first; true where it has answered, rightly or not.
        requests: every request, in order.
        sent: how many bytes of each file were sent.
        closing: set when the server is about to close, so that a fault need not wait longer.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.asked: list[Asked] = []
        self.dies_in: str | None = None
        self.alive = True
        self.fault: Fault = lambda _request: False
        self.requests: list[Request] = []
        self.sent: Counter[str] = Counter()
        self.closing = threading.Event()
        hub = self

        class Handler(_Handler):
            def __init__(self, *arguments: Any) -> None:
                self.hub = hub
                super().__init__(*arguments)

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._http.server_port
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def endpoint(self) -> str:
        """What HF_ENDPOINT is to be."""
        return f"http://127.0.0.1:{self.port}"

    def fetched(self) -> set[str]:
        """The files whose contents were asked for since the last call."""
        files = {asked.file for asked in self.asked if asked.method == "GET"}
        self.asked.clear()
        return files

    def close(self) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()


class Request(NamedTuple):
    """One request, as far as tests look at it."""

    method: str
    path: str
    host: str
    authorized: bool


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer

    def do_HEAD(self) -> None:  # the name that http.server calls
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Say nothing."""

    def _answer(self) -> None:
        authorized = self.headers["Authorization"] is not None
        self.hub.requests.append(Request(self.command, self.path, str(self.headers["Host"]), authorized))
        if not self.hub.alive or self.hub.fault(self):
            return
        place, *rest = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        if place == "storage":
            self._contents("/".join(rest[:2]), rest[2], "/".join(rest[3:]), {})
        elif place == "page":  # as a hotel's network answers
            self._send(HTTPStatus.OK, b"<html>Welcome</html>", {})
        elif self.headers["Authorization"] and not any(map(self._knows, self.hub.repositories.values())):
            message = {"X-Error-Message": "Invalid credentials in Authorization header"}
            self._send(HTTPStatus.UNAUTHORIZED, b"", message)
        elif place == "api":
            self._api("/".join(rest[1:3]), rest[3:])
        else:
            self._file("/".join([place, rest[0]]), rest[2], "/".join(rest[3:]))

    def _api(self, name: str, rest: list[str]) -> None:
        repository = self._repository(name)
        if repository is None:
            return
        commit = self._commit(repository, rest[1] if rest else "main")
        if commit is None:
            return
        files = repository.commits[commit]
        if rest[:1] == ["tree"]:
            self.send_json(listing_of(files))
        else:
            self.send_json({"id": name, "sha": commit, "siblings": [{"rfilename": path} for path in sorted(files)]})

    def _file(self, name: str, revision: str, path: str) -> None:
        repository = self._repository(name)
        if repository is None:
            return
        if repository.gated and not self._knows(repository):
            self._refuse(HTTPStatus.UNAUTHORIZED, "GatedRepo")
            return
        commit = self._commit(repository, revision)
        if commit is None:
            return
        held = repository.commits[commit].get(path)
        headers = {"X-Repo-Commit": commit}
        if held is None:
            self._refuse(HTTPStatus.NOT_FOUND, "EntryNotFound", headers)
        elif path.endswith(_LARGE):
            # another host than the hub's, so that no token may go there
            place = f"http://localhost:{self.hub.port}/storage/{name}/{commit}/{path}"
            headers |= {"Location": place, "X-Linked-Etag": f'"{_sha256(held)}"', "X-Linked-Size": str(len(held))}
            self._send(HTTPStatus.FOUND, b"", headers)
        else:
            self._contents(name, commit, path, headers)

    def _contents(self, name: str, commit: str, path: str, headers: dict[str, str]) -> None:
        self.hub.asked.append(Asked(self.command, path, self.headers["Authorization"] is not None))
        held = self.hub.repositories[name].commits[commit][path]
        headers |= {"ETag": f'"{_sha256(held)}"', "Accept-Ranges": "bytes"}
        status = HTTPStatus.OK
        if self.headers["Range"]:
            first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(held) - 1), len(held) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(held)}"
            held, status = held[start : end + 1], HTTPStatus.PARTIAL_CONTENT
        if self.command == "GET":
            self.hub.sent[path] += len(held)
        self._send(status, held, headers, dies=path == self.hub.dies_in)

    def _repository(self, name: str) -> Repository | None:
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.token and not repository.gated and not self._knows(repository)):
            self._refuse(HTTPStatus.UNAUTHORIZED, "RepoNotFound")  # so that nobody learns what is private
            return None
        return repository

    def _commit(self, repository: Repository, revision: str) -> str | None:
        commit = repository.refs.get(revision, revision)
        if commit not in repository.commits:
            self._refuse(HTTPStatus.NOT_FOUND, "RevisionNotFound")
            return None
        return commit

    def _knows(self, repository: Repository) -> bool:
        return self.headers["Authorization"] == f"Bearer {repository.token}"

    def send_json(self, held: object, headers: Mapping[str, str] | None = None) -> None:
        self._send(HTTPStatus.OK, json.dumps(held).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _refuse(self, status: HTTPStatus, code: str, headers: Mapping[str, str] | None = None) -> None:
        self._send(status, b"", {"X-Error-Code": code, **(headers or {})})

    def _send(self, status: HTTPStatus, held: bytes, headers: Mapping[str, str], *, dies: bool = False) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(held)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.hub.alive = self.hub.alive and not dies
            self.wfile.write(held[: len(held) // 2] if dies else held)


Fault = Callable[[_Handler], bool]


def listing_of(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """What the hub lists of `files`."""
    return [_entry(path, held) for path, held in sorted(files.items())]


def _entry(path: str, held: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(held), "oid": git_blob_id(held)}
    if path.endswith(_LARGE):
        entry["lfs"] = {"oid": _sha256(held), "size": len(held), "pointerSize": 134}
    return entry


def git_blob_id(held: bytes) -> str:
    """Git's name of a file with these contents."""
    return hashlib.sha1(b"blob %d\0" % len(held) + held).hexdigest()


def _sha256(held: bytes) -> str:
    return hashlib.sha256(held).hexdigest()
