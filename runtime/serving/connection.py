"""One reader's connection: what it may cost in time and memory, and how nonsense is answered."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from turbo_webnn.runtime.serving.policy import CONTENT_POLICY, NOTHING

MOST_CONNECTIONS = 256
"""A page has up to six, and each may have a file open."""

REQUEST_S = 30.0
"""Seconds in which a reader has to send a whole request, counted from its connection or its last answer."""

READING_S = 60.0
"""Seconds in which a reader has to take what lies ready for it, a quarter of a megabyte."""


class Connection(H11Protocol):
    """uvicorn's connection, with limits that uvicorn does not have.

    uvicorn waits for ever for the first request, for the rest of one that was begun, and for a reader that takes
    nothing; and its answer to nonsense lacks the headers of all others.
    """

    _timer: asyncio.TimerHandle | None = None
    _limit_s: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin to wait for a request; a connection too many is ended."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what the reader sends."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Begin to wait for the reader."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """The reader has taken what lay ready."""
        super().resume_writing()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._set_timer(None)

    def send_400_response(self, msg: str) -> None:
        """Answer nonsense; in the middle of another answer only the end of the connection can tell."""
        headers = [
            *self.server_state.default_headers,
            (CONTENT_POLICY.encode(), NOTHING.encode()),
            (b"content-type", b"text/plain"),
            (b"connection", b"close"),
        ]
        try:
            answer = (
                self.conn.send(h11.Response(status_code=400, headers=headers, reason=b"Bad Request"))
                + self.conn.send(h11.Data(data=msg.encode() + b"\n"))
                + self.conn.send(h11.EndOfMessage())
            )
        except h11.LocalProtocolError:
            self.transport.abort()
            return
        self.transport.write(answer)
        self.transport.close()

    def shutdown(self) -> None:
        """End with the server: after the answer that is being sent, or at once."""
        try:
            super().shutdown()
        except h11.LocalProtocolError:  # nonsense came before
            self.transport.abort()

    def _watch(self) -> None:
        """Wait for what this connection has come to wait for; the time runs on while that stays the same."""
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if self.flow.write_paused:
            limit_s: float | None = READING_S
        else:
            limit_s = None if is_answering else REQUEST_S
        if limit_s != self._limit_s:
            self._set_timer(limit_s)

    def _set_timer(self, limit_s: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._limit_s = limit_s
        self._timer = None if limit_s is None else self.loop.call_later(limit_s, self.transport.abort)
