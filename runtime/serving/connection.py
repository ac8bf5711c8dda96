"""An HTTP connection with time and memory limits, and with an answer to malformed requests."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from turbo_webnn.runtime.serving.policy import CONTENT_POLICY, NO_CONTENT_POLICY

MOST_CONNECTIONS = 256
"""The largest number of connections. A page has up to six, and each may have a file open."""

REQUEST_S = 30.0
"""The time limit for a whole request, in seconds after the connection or the last answer."""

READING_S = 60.0
"""The time limit, in seconds, for the client to read the buffered data, a quarter of a megabyte."""


class Connection(H11Protocol):
    """uvicorn's connection with additional limits.

    uvicorn has no time limit for the first request, for the rest of a started request, and for a client that does not
    read. Its answer to a malformed request lacks the headers of all other answers.
    """

    _timer: asyncio.TimerHandle | None = None
    _limit_s: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Start the time limit for a request; close the connection where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        self._update_timer()

    def data_received(self, data: bytes) -> None:
        """Process data from the client."""
        super().data_received(data)
        self._update_timer()

    def on_response_complete(self) -> None:
        """Start the time limit for the next request."""
        super().on_response_complete()
        self._update_timer()

    def pause_writing(self) -> None:
        """Start the time limit for the client to read."""
        super().pause_writing()
        self._update_timer()

    def resume_writing(self) -> None:
        """Stop the time limit after the client has read the buffered data."""
        super().resume_writing()
        self._update_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        super().connection_lost(exc)
        self._set_timer(None)

    def send_400_response(self, msg: str) -> None:
        """Answer a malformed request; in the middle of another answer, close the connection instead."""
        headers = [
            *self.server_state.default_headers,
            (CONTENT_POLICY.encode(), NO_CONTENT_POLICY.encode()),
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
        """Close the connection with the server: after the current answer, or immediately."""
        try:
            super().shutdown()
        except h11.LocalProtocolError:  # after a malformed request
            self.transport.abort()

    def _update_timer(self) -> None:
        """Set the time limit for the current state; a timer of the same limit continues."""
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
