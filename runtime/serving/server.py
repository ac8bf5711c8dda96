"""The HTTP server: uvicorn on its own socket, in the current thread or another one."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType

import uvicorn

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.staging.interruption import STOP_SIGNALS
from turbo_webnn.runtime.serving.connection import REQUEST_S, Connection
from turbo_webnn.runtime.serving.policy import ISOLATED, Hosts
from turbo_webnn.runtime.serving.routes import ServedFile
from turbo_webnn.runtime.serving.site import Site

_MOST_HEADER_BYTES = 1 << 16
_END_S = 1
"""The time limit for unfinished answers at the end of the server, in seconds."""


class PageServer:
    """A server of files for clients on this machine, and for requests that name `host`.

    Requests to loopback addresses and `localhost` are always permitted. Where `host` means all addresses of this
    machine (`0.0.0.0`, `::`), requests to every IP address are. Use the server as a context manager, or call
    `server_close` at the end.

    Args:
        routes: URL paths to files. They may be replaced at any time, except pages with inline scripts.
        host: the address to listen on, or its name.
        port: 0 for any free port.

    Raises:
        RequestError: where the port is in use or the address is not of this machine.
    """

    def __init__(self, routes: Mapping[str, ServedFile], host: str = "127.0.0.1", port: int = 0) -> None:
        self._socket = _listen(host, port)
        address = self.server_address[0]
        self._site = Site(routes, Hosts.of(host, address))
        self._uvicorn = _Server(_config(self._site))
        self._ended = threading.Event()
        self._ended.set()

    def __enter__(self) -> PageServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server_close()

    @property
    def routes(self) -> Mapping[str, ServedFile]:
        """The served URL paths and their files."""
        return self._site.routes

    @routes.setter
    def routes(self, routes: Mapping[str, ServedFile]) -> None:
        self._site.routes = routes

    @property
    def on_request(self) -> Callable[[str, str], object]:
        """The listener, called with the path and the Range header (or an empty string) of each request."""
        return self._site.on_request

    @on_request.setter
    def on_request(self, listener: Callable[[str, str], object]) -> None:
        self._site.on_request = listener

    @property
    def server_address(self) -> tuple[str, int]:
        """The address and port of the server."""
        address, port = self._socket.getsockname()[:2]
        return address, port

    @property
    def url(self) -> str:
        """The URL of the page for a browser on this machine."""
        text, port = self.server_address
        address = ipaddress.ip_address(text)
        if address.is_unspecified:  # browsers do not use it as an address of this machine
            address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
        return f"http://{address if address.version == 4 else f'[{address}]'}:{port}/"

    def serve_forever(self) -> None:
        """Answer until a call of `shutdown` in another thread or, in the main thread, until a stop signal."""
        self._ended.clear()
        try:
            if not self._uvicorn.should_exit:
                with self._uvicorn.stop_on_signals():
                    asyncio.run(self._serve())
        finally:
            self._ended.set()

    async def _serve(self) -> None:
        # an exception of a connection has closed it already, and does not belong on the console
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        await self._uvicorn.serve([self._socket.dup()])
        for connection in list(self._uvicorn.server_state.connections):
            connection.transport.abort()  # its client was too slow

    def shutdown(self) -> None:
        """End `serve_forever`, and wait until it has ended."""
        self._uvicorn.should_exit = True
        self._ended.wait()

    def server_close(self) -> None:
        """Close the socket."""
        self._socket.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        config.load()
        self.server_state.default_headers = config.encoded_headers  # uvicorn itself adds them later, at its first tick

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Do nothing: `stop_on_signals` handles signals, outside the event loop, which loses a handler's exception."""
        return nullcontext()

    @contextmanager
    def stop_on_signals(self) -> Iterator[None]:
        """In the block, stop signals end the server; in the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handled = [number for number in STOP_SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None)]
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _config(site: Site) -> uvicorn.Config:
    return uvicorn.Config(
        site,
        loop="asyncio",
        http=Connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        workers=1,  # otherwise uvicorn reads an environment variable
        log_config=None,
        log_level=logging.CRITICAL + 1,  # the page shows the progress
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=list(ISOLATED.items()),
        h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
        timeout_keep_alive=int(REQUEST_S),
        timeout_graceful_shutdown=_END_S,
    )


def _listen(host: str, port: int) -> socket.socket:
    """Make a socket that listens on the first address of `host` that belongs to this machine."""
    right = "give an address of this machine as --host"
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError, OverflowError) as error:  # an invalid name raises ValueError
        raise RequestError(f"cannot serve on {host!r}, port {port} ({error})", right) from error
    failures = []
    for family, _, _, _, address in addresses:
        try:
            return _bind(family, address)
        except OSError as error:
            failures.append(error)
    if failures[0].errno in (errno.EADDRINUSE, errno.EACCES):
        right = "give another --port"
    raise RequestError(f"cannot serve on {host}:{port} ({failures[0]})", right) from failures[0]


def _bind(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # on Windows the option would permit another program on the same port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
