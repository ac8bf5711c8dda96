"""Limits on the time, the attempts and the bytes of each request that huggingface_hub makes.

The library itself sets no time limit for listings, and obeys a `Retry-After` of any length. The limits are hooks on
its own HTTP client: proxies, certificates and a client that the user has set remain in use.
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
from turbo_webnn.models.hub.responses import api_request_kind, require_answer, require_etags

LIMIT_S = max(constants.HF_HUB_DOWNLOAD_TIMEOUT, constants.HF_HUB_ETAG_TIMEOUT)
"""The time limit for a connection, and for the next bytes, in seconds."""

ANSWER_S = 3 * LIMIT_S
"""The time limit for the headers of an answer, in seconds; for the API also for its body, a page of 300 KB."""

STATUS_TRIES = 4
"""The number of requests that may be answered with 429 or 5xx."""

SILENT_TRIES = 2
"""The number of requests that may be accepted and then not answered."""

BODY_TRIES = 3
"""The number of downloads that may break off at the same position of a file."""

MAX_WAIT_S = 30.0
"""The longest pause between attempts, in seconds, that a hub may request."""

MIN_BYTES = 1 << 14
"""The bytes that must arrive in each period of two time limits."""

MAX_ANSWER_BYTES = 1 << 25
"""The largest size of one answer of the API; a listing page of 1000 files has 300 KB."""

MAX_ANSWERS = 200
"""The largest number of API answers in one run: a listing of 200,000 files."""

_STORES = ("https://huggingface.co", "https://hf.co")


class HubFailure(HfHubHTTPError):  # type: ignore[misc]  # noqa: N818 - the library treats it as an answer of the hub
    """A request that failed in all attempts. The library then uses its cache."""


class _TooSlowError(httpx2.ReadTimeout):
    """The bytes of a body arrive too slowly."""


class Guard:
    """The limits and the state that all requests of one run share.

    Attributes:
        trouble: the reason why no more requests are sent; None while the hub answers.
        largest: the largest permitted size of a downloaded file.
    """

    def __init__(self) -> None:
        self.trouble: str | None = None
        self.largest = MAX_ANSWER_BYTES
        self._answers = 0
        self._broken: Counter[tuple[str, str | None]] = Counter()
        self._origins = {_origin(httpx2.URL(url)) for url in (constants.ENDPOINT, *_STORES)}

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Apply this guard to the requests of huggingface_hub inside the block."""
        previous_factory = _http._GLOBAL_CLIENT_FACTORY

        def factory() -> httpx2.Client:
            client: httpx2.Client = previous_factory()
            hooks = client.event_hooks
            client.event_hooks = {
                "request": [*hooks["request"], self._prepare],
                "response": [self._check, *hooks["response"]],
            }
            send = client.send
            setattr(client, "send", lambda request, **options: self._send(send, request, options))  # noqa: B010
            return client

        set_client_factory(factory)
        try:
            yield
        finally:
            set_client_factory(previous_factory)

    def _send(self, send: Callable[..., httpx2.Response], request: httpx2.Request, options: Any) -> httpx2.Response:
        """Send `request` with `send`; repeat it where the hub fails to answer."""
        send = partial(_send_in_time, send)
        if "/api/" in request.url.path and "/api/models/" not in request.url.path:
            return send(request, **options)  # optional requests of the library itself
        attempts = 0
        while True:
            if self.trouble is not None:
                raise self._failure(request)
            attempts += 1
            try:
                response = send(request, **options)
            except (httpx2.ReadTimeout, httpx2.ReadError, httpx2.RemoteProtocolError) as error:
                if attempts == SILENT_TRIES:
                    raise self._give_up(request, _failure_text(error)) from error
                wait = 1.0
            else:
                if response.status_code not in (408, 429) and response.status_code < 500:
                    return response
                response.close()
                wait = max(_requested_wait(response), 2.0 ** (attempts - 1))
                if attempts == STATUS_TRIES or wait > MAX_WAIT_S:
                    raise self._give_up(request, _status_text(response.status_code, wait), response)
            time.sleep(wait)

    def _prepare(self, request: httpx2.Request) -> None:
        """Prepare each request, also after a redirect: set time limits, refuse compression, protect the token."""
        limits = request.extensions.get("timeout") or {}
        bounded = {kind: min(limits.get(kind) or LIMIT_S, LIMIT_S) for kind in ("connect", "read", "write", "pool")}
        request.extensions = {**request.extensions, "timeout": bounded}
        request.headers["Accept-Encoding"] = "identity"  # compressed contents can expand without limit
        if _origin(request.url) not in self._origins:
            request.headers.pop("Authorization", None)

    def _check(self, response: httpx2.Response) -> None:
        """Check the headers of each answer and limit its size, before the body is read."""
        kind = api_request_kind(response.request.url)
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

    def error_after_break(self, request: httpx2.Request, error: Exception) -> Exception:
        """The exception to raise where a body breaks off: `error`, or HubFailure after too many attempts."""
        key = (str(request.url), request.headers.get("Range"))
        self._broken[key] += 1
        if self._broken[key] < BODY_TRIES:
            return error
        return self._give_up(request, _failure_text(error))

    def _give_up(self, request: httpx2.Request, reason: str, response: httpx2.Response | None = None) -> HubFailure:
        self.trouble = reason
        return self._failure(request, response)

    def _failure(self, request: httpx2.Request, response: httpx2.Response | None = None) -> HubFailure:
        answer = response or httpx2.Response(HTTPStatus.GATEWAY_TIMEOUT, request=request)
        return HubFailure(str(self.trouble), response=answer)


def _send_in_time(send: Callable[..., httpx2.Response], request: httpx2.Request, **options: Any) -> httpx2.Response:
    """Call `send` with a time limit of `ANSWER_S`: headers that arrive byte by byte exceed no other limit.

    `send` runs in a separate thread. The thread ends with its connection when the client is closed.
    """
    outcome: SimpleQueue[httpx2.Response | Exception] = SimpleQueue()

    def run() -> None:
        try:
            outcome.put(send(request, **options))
        except Exception as error:  # noqa: BLE001 - the waiting thread raises it again
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
    """The body of an answer, with a minimum speed and a maximum of `limit` bytes."""

    def __init__(self, stream: httpx2.SyncByteStream, request: httpx2.Request, limit: int, guard: Guard) -> None:
        self._stream, self._request, self._limit, self._guard = stream, request, limit, guard

    def __iter__(self) -> Iterator[bytes]:
        chunks = iter(self._stream)
        total, recent, waited = 0, 0, 0.0
        while True:
            start_time = time.monotonic()
            try:
                chunk = next(chunks, None)
                waited += time.monotonic() - start_time
                if chunk is not None and waited > 2 * LIMIT_S:
                    if recent + len(chunk) < MIN_BYTES:
                        raise _TooSlowError("too few bytes", request=self._request)
                    recent, waited = 0, 0.0
            except httpx2.TransportError as error:
                raise self._guard.error_after_break(self._request, error) from error
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


def _requested_wait(response: httpx2.Response) -> float:
    """The pause in seconds that the hub requests; 0 where it requests none."""
    retry_after = response.headers.get("Retry-After", "").strip()
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after[:9])
    try:
        limit = parse_ratelimit_headers(response.headers)
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS and limit is not None and limit.remaining == 0:
            return float(limit.reset_in_seconds)
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _status_text(status: int, wait: float) -> str:
    text = f"the hub asks to slow down ({status})" if status == 429 else f"the hub is failing ({status})"
    return f"{text} and to wait {wait:.0f} s" if wait > MAX_WAIT_S else text


def _failure_text(error: Exception) -> str:
    if isinstance(error, _TooSlowError):
        return "the hub answers too slowly"
    if isinstance(error, httpx2.ReadTimeout):
        return f"the hub sends nothing for {LIMIT_S} s"
    return "the hub ended the connection early"
