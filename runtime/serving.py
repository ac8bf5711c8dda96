"""A bundle and its page over HTTP: cross-origin isolated, with byte ranges, and nothing else within reach."""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from models.bundle import MANIFEST, Bundle
from models.errors import RequestError

WEB = Path(__file__).parent / "web"
"""The page and the module, an npm package."""

MODULES = Path(__file__).parents[1] / "node_modules"

NPM_PARTS = {
    "onnxruntime-web": (
        "dist/ort.webgpu.min.mjs",
        "dist/ort-wasm-simd-threaded.asyncify.mjs",
        "dist/ort-wasm-simd-threaded.asyncify.wasm",
    ),
    "@huggingface/tokenizers": ("dist/tokenizers.min.mjs",),
    "hash-wasm": ("dist/index.esm.min.js",),
}
"""What the page loads of the packages that `web/package.json` pins; its import map names the same paths."""

ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",  # threads of WASM need an isolated page
    "Cross-Origin-Embedder-Policy": "require-corp",
    "X-Content-Type-Options": "nosniff",
}

_TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm", ".json": "application/json"}

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def routes_of(bundle: Bundle) -> dict[str, Path]:
    """Every URL path that is served, and its file: the page, the module, npm's parts, and what the manifest names.

    Raises:
        RequestError: where an npm package is missing, or of another version than the one pinned.
    """
    pages = {f"/{path.relative_to(WEB).as_posix()}": path for path in WEB.rglob("*") if path.suffix in _PAGES}
    held = (MANIFEST, *(file.path for file in bundle.files()))
    files = {f"/bundle/{path}": bundle.folder / path for path in held}
    return {"/": WEB / "page" / "index.html", **pages, **dict(_npm_parts()), **files}


_PAGES = {".mjs", ".html", ".css", ".svg"}


def _npm_parts() -> Iterator[tuple[str, Path]]:
    wanted = json.loads((WEB / "package.json").read_text())["dependencies"]
    right = f"run npm ci --ignore-scripts in {MODULES.parent}"
    for package, parts in NPM_PARTS.items():
        manifest = MODULES / package / "package.json"
        if not manifest.is_file():
            raise RequestError(f"{package} {wanted[package]} is not installed", right)
        if (version := json.loads(manifest.read_text())["version"]) != wanted[package]:
            raise RequestError(f"{package} is {version}, the page is made for {wanted[package]}", right)
        for part in parts:
            yield f"/npm/{package}/{part}", MODULES / package / part


class PageServer(ThreadingHTTPServer):
    """Serves `routes`, URL paths to files; port 0 takes any that is free.

    Attributes:
        on_request: told the path of each request, and its Range header, empty where it has none.

    Raises:
        RequestError: where the port is taken or the address is not this machine's.
    """

    daemon_threads = True

    def __init__(self, routes: Mapping[str, Path], host: str = "127.0.0.1", port: int = 0) -> None:
        self.routes = routes
        self.on_request: Callable[[str, str], object] = lambda _path, _range: None
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise RequestError(f"cannot serve on {host}:{port} ({error})", "give another --port") from error

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PageServer

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        asked = unquote(urlsplit(self.path).path)
        self.server.on_request(asked, self.headers.get("Range", ""))
        path = self.server.routes.get(asked)
        if path is None or not path.is_file():
            self._head(HTTPStatus.NOT_FOUND, {"Content-Length": "0"})
            return
        stat = path.stat()
        tag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
        if self.headers.get("If-None-Match") == tag:
            self._head(HTTPStatus.NOT_MODIFIED, {"ETag": tag})
            return
        kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        headers = {"Content-Type": kind, "Accept-Ranges": "bytes", "Cache-Control": "no-cache", "ETag": tag}
        wanted = _RANGE.fullmatch(self.headers.get("Range", ""))  # another form asks for the whole, says the standard
        span = range(stat.st_size) if wanted is None else _span(wanted, stat.st_size)
        if wanted is not None and not span:
            headers |= {"Content-Range": f"bytes */{stat.st_size}", "Content-Length": "0"}
            self._head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers)
            return
        headers["Content-Length"] = str(len(span))
        if wanted is not None:
            headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{stat.st_size}"
        self._head(HTTPStatus.OK if wanted is None else HTTPStatus.PARTIAL_CONTENT, headers)
        if body:
            self._send(path, span)

    def _head(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in (ISOLATED | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, path: Path, span: range) -> None:
        try:
            with path.open("rb") as file:
                file.seek(span.start)
                left = len(span)
                while left and (chunk := file.read(min(left, 1 << 20))):
                    self.wfile.write(chunk)
                    left -= len(chunk)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # a reader that leaves is no fault

    def log_message(self, format: str, *words: object) -> None:  # noqa: A002  (the base class names it so)
        """Quiet: the page says what it does."""


def _span(wanted: re.Match[str], size: int) -> range:
    """The bytes that `bytes=FROM-` or `bytes=FROM-TO` asks for, of a file of `size`; empty where it has none there."""
    return range(int(wanted[1]), min(int(wanted[2] or size) + 1, size))
