"""The server: uvicorn on a socket of its own, in this thread or another, until it is ended."""

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
from turbo_webnn.models.staging.interruption import STOPPING
from turbo_webnn.runtime.serving.connection import REQUEST_S, Connection
from turbo_webnn.runtime.serving.policy import ISOLATED, Hosts
from turbo_webnn.runtime.serving.routes import ServedFile
from turbo_webnn.runtime.serving.site import Site

_MOST_HEADER_BYTES = 1 << 16
_END_S = 1
"""Seconds that answers have to end once the server is to end."""


class PageServer:
    """Serves `routes`, URL paths to files, to readers on this machine, and those who name `host`.

    Loopback addresses and `localhost` are always answered to; where `host` stands for all addresses of this machine
    (`0.0.0.0`, `::`), so is every IP address. Use it as a context manager, or call `server_close` at the end.

    Args:
        routes: what is served; it may be replaced at any time, but for pages with inline scripts.
        host: the address to listen on, or a name of it.
        port: 0 for any that is free.

    Raises:
        RequestError: where the port is taken or the address is not this machine's.
    """

    def __init__(self, routes: Mapping[str, ServedFile], host: str = "127.0.0.1", port: int = 0) -> None:
        self._socket = _listening(host, port)
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
        """URL paths to files."""
        return self._site.routes

    @routes.setter
    def routes(self, routes: Mapping[str, ServedFile]) -> None:
        self._site.routes = routes

    @property
    def on_request(self) -> Callable[[str, str], object]:
        """Called with the path of each request, and its Range header, empty where it has none."""
        return self._site.on_request

    @on_request.setter
    def on_request(self, listener: Callable[[str, str], object]) -> None:
        self._site.on_request = listener

    @property
    def server_address(self) -> tuple[str, int]:
        """The address and port that it listens on."""
        address, port = self._socket.getsockname()[:2]
        return address, port

    @property
    def url(self) -> str:
        """Where the page is, for a browser on this machine."""
        text, port = self.server_address
        address = ipaddress.ip_address(text)
        if address.is_unspecified:  # which browsers do not take for this machine
            address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
        return f"http://{address if address.version == 4 else f'[{address}]'}:{port}/"

    def serve_forever(self) -> None:
        """Answer until `shutdown` is called in another thread, or, in the main thread, until a signal asks to end."""
        self._ended.clear()
        try:
            if not self._uvicorn.should_exit:
                with self._uvicorn.ended_by_signals():
                    asyncio.run(self._serve())
        finally:
            self._ended.set()

    async def _serve(self) -> None:
        # what a connection raises has ended that connection, and says nothing to whoever reads the console
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        await self._uvicorn.serve([self._socket.dup()])
        for connection in list(self._uvicorn.server_state.connections):
            connection.transport.abort()  # its reader took too long

    def shutdown(self) -> None:
        """End `serve_forever`, and wait until it has ended."""
        self._uvicorn.should_exit = True
        self._ended.wait()

    def server_close(self) -> None:
        """Let go of the port."""
        self._socket.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        config.load()
        self.server_state.default_headers = config.encoded_headers  # uvicorn itself adds them with its first tick

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # whatever makes it
        """Nothing: `ended_by_signals` hears them from before the event loop, in which what a handler raises is lost."""
        return nullcontext()

    @contextmanager
    def ended_by_signals(self) -> Iterator[None]:
        """In the block, where it is in the main thread, signals end the server, and do nothing more afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        heard = [number for number in STOPPING if signal.getsignal(number) not in (signal.SIG_IGN, None)]
        before = {number: signal.signal(number, self.handle_exit) for number in heard}
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
        workers=1,  # else it reads an environment variable
        log_config=None,
        log_level=logging.CRITICAL + 1,  # the page says what it does
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=list(ISOLATED.items()),
        h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
        timeout_keep_alive=int(REQUEST_S),
        timeout_graceful_shutdown=_END_S,
    )


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens on the first address of `host` that is this machine's."""
    right = "give an address of this machine as --host"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError, OverflowError) as error:  # a name that no resolver takes is a ValueError
        raise RequestError(f"cannot serve on {host!r}, port {port} ({error})", right) from error
    failures = []
    for family, _, _, _, address in found:
        try:
            return _bound(family, address)
        except OSError as error:
            failures.append(error)
    if failures[0].errno in (errno.EADDRINUSE, errno.EACCES):
        right = "give another --port"
    raise RequestError(f"cannot serve on {host}:{port} ({failures[0]})", right) from failures[0]


def _bound(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # on Windows it would share the port with another program
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
