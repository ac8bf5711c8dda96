"""Bounds on what a hub can cost: time, tries and bytes of every request that huggingface_hub makes.

The library's own client waits without limit for listings, and follows `Retry-After` however long it is. Its client is
kept, with hooks: proxies, certificates and a client that the user has set stay as they are.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import httpx2
from huggingface_hub import constants, set_client_factory
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import _http, parse_ratelimit_headers

from turbo_webnn.models.hub.answers import WrongAnswerError, require_commit
from turbo_webnn.models.hub.responses import asked_of_api, require_answer, require_etags

LIMIT_S = max(constants.HF_HUB_DOWNLOAD_TIMEOUT, constants.HF_HUB_ETAG_TIMEOUT)
"""Seconds to wait for a connection, or for the next bytes."""

ANSWER_S = 3 * LIMIT_S
"""Seconds until an answer's headers must be there, and of the API also its body: a page of 300 KB."""

STATUS_TRIES = 4
"""Requests until a hub that answers 429 or 5xx is given up."""

SILENT_TRIES = 2
"""Requests until a hub that accepts and then fails to answer is given up."""

BODY_TRIES = 3
"""Downloads from one position of a file until one that breaks off there is given up."""

MAX_WAIT_S = 30.0
"""The longest pause between tries that a hub may ask for."""

MIN_BYTES = 1 << 14
"""Bytes that must come in any two time limits' worth of waiting: less is no download."""

MAX_ANSWER_BYTES = 1 << 25
"""Bytes of one answer of the API: a listing page of 1000 files has 300 KB."""

MAX_ANSWERS = 200
"""Answers of the API in one run: a listing of 200,000 files."""

_STORES = ("https://huggingface.co", "https://hf.co")


class HubFailure(HfHubHTTPError):  # type: ignore[misc]  # noqa: N818 - to the library, an answer of the hub
    """A request that was tried often enough. The library then looks into its cache."""


class _TooSlowError(httpx2.ReadTimeout):
    """A body of which some bytes come, and too few of them."""


class Guard:
    """What one run's requests share.

    Attributes:
        trouble: why the hub was given up; None as long as it answers.
        largest: bytes that one downloaded file may have.
    """

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.largest = MAX_ANSWER_BYTES
        self._answers = 0
        self._broken: Counter[tuple[str, str | None]] = Counter()
        self._origins = {_origin(httpx2.URL(place)) for place in (constants.ENDPOINT, *_STORES)}

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let huggingface_hub's requests pass through this guard."""
        before = _http._GLOBAL_CLIENT_FACTORY

        def factory() -> httpx2.Client:
            client: httpx2.Client = before()
            hooks = client.event_hooks
            client.event_hooks = {
                "request": [*hooks["request"], self._before],
                "response": [self._after, *hooks["response"]],
            }
            send = client.send
            setattr(client, "send", lambda request, **options: self._send(send, request, options))  # noqa: B010
            return client

        set_client_factory(factory)
        try:
            yield
        finally:
            set_client_factory(before)

    def _send(self, send: Callable[..., httpx2.Response], request: httpx2.Request, options: Any) -> httpx2.Response:
        """Send `request` as `send` does, and again where the hub fails to answer it."""
        send = partial(_in_time, send)
        if "/api/" in request.url.path and "/api/models/" not in request.url.path:
            return send(request, **options)  # what the library asks for itself, and does without
        tries = 0
        while True:
            if self.trouble is not None:
                raise self._failure(request)
            tries += 1
            try:
                response = send(request, **options)
            except (httpx2.ReadTimeout, httpx2.ReadError, httpx2.RemoteProtocolError) as error:
                if tries == SILENT_TRIES:
                    raise self._given_up(request, _described(error)) from error
                wait = 1.0
            else:
                if response.status_code not in (408, 429) and response.status_code < 500:
                    return response
                response.close()
                wait = max(_asked_wait(response), 2.0 ** (tries - 1))
                if tries == STATUS_TRIES or wait > MAX_WAIT_S:
                    raise self._given_up(request, _told_status(response.status_code, wait), response)
            time.sleep(wait)

    def _before(self, request: httpx2.Request) -> None:
        """Each request, those of redirects too: its time limits, no compression, and whose token it carries."""
        limits = request.extensions.get("timeout") or {}
        bounded = {kind: min(limits.get(kind) or LIMIT_S, LIMIT_S) for kind in ("connect", "read", "write", "pool")}
        request.extensions = {**request.extensions, "timeout": bounded}
        request.headers["Accept-Encoding"] = "identity"  # what comes compressed can grow without bound
        if _origin(request.url) not in self._origins:
            request.headers.pop("Authorization", None)

    def _after(self, response: httpx2.Response) -> None:
        """Each answer, before any of its body is read: what the library makes names of, and how much may come."""
        kind = asked_of_api(response.request.url)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise WrongAnswerError("compressed contents, which nobody asked for")
        limit = self.largest if kind is None and response.status_code < 400 else MAX_ANSWER_BYTES
        stream = response.stream
        if isinstance(stream, httpx2.SyncByteStream):
            response.stream = _BoundedStream(stream, response.request, limit, self)
        if "X-Repo-Commit" in response.headers:
            require_commit(response.headers["X-Repo-Commit"])
        if response.request.method == "HEAD" and response.status_code < 400:
            require_etags(response)
        if kind is not None and response.status_code == HTTPStatus.OK:
            self._answers += 1
            if self._answers > MAX_ANSWERS:
                raise WrongAnswerError("a listing that does not end")
            require_answer(kind, response)

    def broken(self, request: httpx2.Request, error: Exception) -> Exception:
        """What to raise where the body of an answer breaks off: the same again, until it has happened too often."""
        key = (str(request.url), request.headers.get("Range"))
        self._broken[key] += 1
        if self._broken[key] < BODY_TRIES:
            return error
        return self._given_up(request, _described(error))

    def _given_up(self, request: httpx2.Request, why: str, response: httpx2.Response | None = None) -> HubFailure:
        self.trouble = why
        return self._failure(request, response)

    def _failure(self, request: httpx2.Request, response: httpx2.Response | None = None) -> HubFailure:
        answer = response or httpx2.Response(HTTPStatus.GATEWAY_TIMEOUT, request=request)
        return HubFailure(str(self.trouble), response=answer)


def _in_time(send: Callable[..., httpx2.Response], request: httpx2.Request, **options: Any) -> httpx2.Response:
    """`send`, given up after `ANSWER_S`: headers that come byte by byte are within every other limit.

    It runs in a thread of its own, which ends with its connection when the client is closed.
    """
    outcome: SimpleQueue[httpx2.Response | Exception] = SimpleQueue()

    def run() -> None:
        try:
            outcome.put(send(request, **options))
        except Exception as error:  # noqa: BLE001 - it is raised again where it is awaited
            outcome.put(error)

    Thread(target=copy_context().run, args=(run,), daemon=True).start()
    try:
        answer = outcome.get(timeout=ANSWER_S)
    except Empty:
        raise _TooSlowError("the answer does not come to its end", request=request) from None
    if isinstance(answer, Exception):
        raise answer
    return answer


class _BoundedStream(httpx2.SyncByteStream):
    """The body of an answer that must go on coming, and end before `limit` bytes."""

    def __init__(self, stream: httpx2.SyncByteStream, request: httpx2.Request, limit: int, guard: Guard) -> None:
        self._stream, self._request, self._limit, self._guard = stream, request, limit, guard

    def __iter__(self) -> Iterator[bytes]:
        chunks = iter(self._stream)
        total, recent, waited = 0, 0, 0.0
        while True:
            began = time.monotonic()
            try:
                chunk = next(chunks, None)
                waited += time.monotonic() - began
                if chunk is not None and waited > 2 * LIMIT_S:
                    if recent + len(chunk) < MIN_BYTES:
                        raise _TooSlowError("too few bytes", request=self._request)
                    recent, waited = 0, 0.0
            except httpx2.TransportError as error:
                raise self._guard.broken(self._request, error) from error
            if chunk is None:
                return
            recent += len(chunk)
            total += len(chunk)
            if total > self._limit:
                raise WrongAnswerError(f"more than the {self._limit / 1e6:.1f} MB that could be there")
            yield chunk

    def close(self) -> None:
        self._stream.close()


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _asked_wait(response: httpx2.Response) -> float:
    """Seconds that the hub asks to wait; 0 where it asks for none."""
    stated = response.headers.get("Retry-After", "").strip()
    if stated.isascii() and stated.isdigit():
        return float(stated[:9])
    try:
        limit = parse_ratelimit_headers(response.headers)
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS and limit is not None and limit.remaining == 0:
            return float(limit.reset_in_seconds)
        return max(0.0, (parsedate_to_datetime(stated) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _told_status(status: int, wait: float) -> str:
    told = f"the hub asks to slow down ({status})" if status == 429 else f"the hub is failing ({status})"
    return f"{told} and to wait {wait:.0f} s" if wait > MAX_WAIT_S else told


def _described(error: Exception) -> str:
    if isinstance(error, _TooSlowError):
        return "the hub answers too slowly"
    if isinstance(error, httpx2.ReadTimeout):
        return f"the hub sends nothing for {LIMIT_S} s"
    return "the hub ended the connection early"
