"""The ASGI application, which answers the requests."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import BinaryIO

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from turbo_webnn.runtime.serving.policy import CONTENT_POLICY, Hosts, content_policy
from turbo_webnn.runtime.serving.ranges import Validators, range_of
from turbo_webnn.runtime.serving.routes import PAGE, WORKERS, ServedFile

_METHODS = ("GET", "HEAD")

_SCHEME = "http://"

_CHUNK_BYTES = 1 << 18


class ShrunkError(Exception):
    """A file became shorter during its transfer; the connection must end, because its length was sent already."""


class Site:
    """An application that serves the files of `routes` to requests that name one of `hosts`.

    Starlette's FileResponse is not used: it opens a file by name after the check of links, and answers a malformed
    range with status 400.

    Attributes:
        routes: URL paths to files.
        on_request: called with the path and the Range header (or an empty string) of each request.
    """

    def __init__(self, routes: Mapping[str, ServedFile], hosts: Hosts) -> None:
        self.routes = routes
        self.on_request: Callable[[str, str], object] = lambda _path, _range: None
        self._hosts = hosts
        pages = [served.path.read_text("utf-8") for served in routes.values() if served.media_type == PAGE]
        self._policy = content_policy(pages)
        self._worker_policy = content_policy(pages, evaluate=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope)
        host, path = _target(request)
        try:
            response = await self._response(request, host, path)
        except Exception as error:  # noqa: BLE001 - the answer of uvicorn itself would lack the policy
            text = f"this is a defect of turbo-webnn ({type(error).__name__})\n"
            response = PlainTextResponse(text, HTTPStatus.INTERNAL_SERVER_ERROR)
        response.headers[CONTENT_POLICY] = self._worker_policy if path in WORKERS else self._policy
        await response(scope, receive, send)

    async def _response(self, request: Request, host: str | None, path: str) -> Response:
        if not self._hosts.allow(host):
            text = "this server answers to the host that it was started for (turbo-webnn serve --host)\n"
            return PlainTextResponse(text, HTTPStatus.MISDIRECTED_REQUEST)
        if request.method not in _METHODS:
            allowed = ", ".join(_METHODS)
            text = f"files are read with {allowed}\n"
            return PlainTextResponse(text, HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": allowed})
        self.on_request(path, request.headers.get("range", ""))
        served = self.routes.get(path)
        file = await run_sync(served.open) if served else None
        if served is None or file is None:
            return PlainTextResponse("there is no such file\n", HTTPStatus.NOT_FOUND)
        response = _file_response(request, served.media_type, file)
        if not isinstance(response, _FileSlice):
            file.close()
        return response


def _target(request: Request) -> tuple[str | None, str]:
    """The host and the path of a request; the host is None where it is missing. The target may be a whole URL."""
    target: str = request.scope["path"]
    if not target.lower().startswith(_SCHEME):
        return request.headers.get("host"), target
    host, slash, path = target[len(_SCHEME) :].partition("/")
    return host, slash + path


def _file_response(request: Request, media_type: str, file: BinaryIO) -> Response:
    """The answer to a request for `file`; an answer that sends the file also closes it."""
    state = os.fstat(file.fileno())
    validators = Validators.of(state)
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "no-cache",
        "ETag": validators.etag,
        "Last-Modified": validators.last_modified,
    }
    if validators.is_known(request.headers):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if request.method == "HEAD":  # the standard defines no ranges for HEAD
        return Response(headers={**headers, "Content-Type": media_type, "Content-Length": str(state.st_size)})
    range_header = ", ".join(request.headers.getlist("range")) if "range" in request.headers else None
    span = range_of(range_header, state.st_size) if validators.allow_range(request.headers) else None
    if span is None:
        return _FileSlice(file, range(state.st_size), HTTPStatus.OK, {**headers, "Content-Type": media_type})
    if not span:
        headers["Content-Range"] = f"bytes */{state.st_size}"
        return Response(status_code=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{state.st_size}"
    return _FileSlice(file, span, HTTPStatus.PARTIAL_CONTENT, {**headers, "Content-Type": media_type})


class _FileSlice(StreamingResponse):
    """An answer with the bytes `span` of `file`; it closes the file at its end, or where the client disconnects."""

    def __init__(self, file: BinaryIO, span: range, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        super().__init__(_chunks(file, span), status, {**headers, "Content-Length": str(len(span))})
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


async def _chunks(file: BinaryIO, span: range) -> AsyncIterator[bytes]:
    file.seek(span.start)
    remaining = len(span)
    while remaining:
        chunk = await run_sync(file.read, min(remaining, _CHUNK_BYTES))
        if not chunk:
            raise ShrunkError
        remaining -= len(chunk)
        yield chunk
