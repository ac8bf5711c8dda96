"""`turbo-webnn serve`: serves a page that draws in the browser."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import click

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.staging.interruption import Stopped
from turbo_webnn.scripts.console import show, show_json
from turbo_webnn.scripts.options import bundle_argument, json_option

_HOST = (
    "The address to listen on. Requests must name a loopback host (127.0.0.0/8, localhost, [::1]) or this one; "
    "with 0.0.0.0 or ::, any IP address."
)


@click.command()
@bundle_argument
@click.option("--host", default="127.0.0.1", show_default=True, help=_HOST)
@click.option("--port", type=click.IntRange(0, 65535), default=8017, show_default=True, help="0 for any that is free.")
@json_option
def serve(folder: Path, host: str, port: int, as_json: bool) -> None:
    """Serve a page that draws with BUNDLE in the browser, until Ctrl-C."""
    from turbo_webnn.runtime.serving import PageServer, routes_of

    routes = routes_of(Bundle.open(folder))
    with suppress(Stopped, KeyboardInterrupt), PageServer(routes, host, port) as server:
        if as_json:
            show_json({"url": server.url})
        else:
            show(f"{server.url} draws with {folder}; Ctrl-C ends it")
        sys.stdout.flush()  # a program that reads the pipe waits for the address
        server.serve_forever()
