"""What is served: URL paths and their files, each opened only where it lies in its folder."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from turbo_webnn.models.bundle import MANIFEST, Bundle
from turbo_webnn.models.errors import RequestError

WEB = Path(__file__).parents[1] / "web"
"""The page and the module, an npm package."""

MODULES = Path(__file__).parents[2] / "node_modules"

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

PAGE = "text/html"

_WEB_TYPES = {
    ".mjs": "text/javascript",
    ".js": "text/javascript",
    ".html": PAGE,
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
"""Media types of the page's files, by their suffixes."""

_DATA_TYPES = {".json": "application/json", ".wasm": "application/wasm"}
_DATA = "application/octet-stream"

_FILE_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # a FIFO would block
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NO_LINK


@dataclass(frozen=True)
class ServedFile:
    """A file that is served as long as it lies in `folder`.

    Attributes:
        folder: a real path, without symbolic links.
        name: relative to `folder`, with forward slashes.
        media_type: as the browser is told.
    """

    folder: Path
    name: str
    media_type: str

    @classmethod
    def of(cls, folder: Path, name: str) -> ServedFile:
        """The file `name` of `folder`, which may itself be reached by links: it is resolved now."""
        suffix = PurePosixPath(name).suffix
        return cls(folder.resolve(), name, (_WEB_TYPES | _DATA_TYPES).get(suffix, _DATA))

    @classmethod
    def of_data(cls, folder: Path, name: str) -> ServedFile:
        """The same for a file of others' making, which no browser runs or shows as a page."""
        return cls(folder.resolve(), name, _DATA_TYPES.get(PurePosixPath(name).suffix, _DATA))

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self.folder / self.name

    def open(self) -> BinaryIO | None:
        """The file, opened for reading; None where there is no regular file, or links lead out of the folder.

        Links are resolved first. The path that comes of it is then opened without following any link, so that a link
        which appears meanwhile is refused too.
        """
        try:
            inside = self.path.resolve(strict=True).relative_to(self.folder)
            descriptor = _open_without_links(self.folder, inside.parts)
        except (OSError, RuntimeError, ValueError):  # a loop of links is a RuntimeError up to Python 3.12
            return None
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return os.fdopen(descriptor, "rb", buffering=0)
        os.close(descriptor)
        return None


def _open_without_links(folder: Path, parts: tuple[str, ...]) -> int:
    """A descriptor of the file at `parts` in `folder`; OSError where one of `parts` is a symbolic link."""
    if os.open not in os.supports_dir_fd:  # Windows, where making links needs a privilege
        return os.open(folder.joinpath(*parts), _FILE_FLAGS)
    at = os.open(folder, _FOLDER_FLAGS)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER_FLAGS, dir_fd=at)
            os.close(at)
            at = inner
        return os.open(parts[-1], _FILE_FLAGS | _NO_LINK, dir_fd=at)
    finally:
        os.close(at)


WORKERS = frozenset({"/worker.mjs", "/npm/onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.mjs"})
"""URL paths of the scripts that workers start with: the one that draws, and the threads of its WASM."""


def routes_of(bundle: Bundle) -> dict[str, ServedFile]:
    """Every URL path that is served, and its file: the page, the module, npm's parts, and what the manifest names.

    Raises:
        RequestError: where an npm package is missing, or of another version than the one pinned.
    """
    pages = (path.relative_to(WEB).as_posix() for path in WEB.rglob("*") if path.suffix in _WEB_TYPES)
    files = (MANIFEST, *(file.path for file in bundle.files()))
    return {
        "/": ServedFile.of(WEB, "page/index.html"),
        **{f"/{name}": ServedFile.of(WEB, name) for name in pages},
        **dict(_npm_parts()),
        **{f"/bundle/{name}": ServedFile.of_data(bundle.folder, name) for name in files},
    }


def _npm_parts() -> Iterator[tuple[str, ServedFile]]:
    wanted = json.loads((WEB / "package.json").read_text())["dependencies"]
    right = f"run npm ci --ignore-scripts in {MODULES.parent}"
    for package, parts in NPM_PARTS.items():
        manifest = MODULES / package / "package.json"
        if not manifest.is_file():
            raise RequestError(f"{package} {wanted[package]} is not installed", right)
        try:
            version = json.loads(manifest.read_text())["version"]
        except (ValueError, KeyError, TypeError) as error:
            raise RequestError(f"{manifest} is damaged", right) from error
        if version != wanted[package]:
            raise RequestError(f"{package} is {version}, the page is made for {wanted[package]}", right)
        for part in parts:
            yield f"/npm/{package}/{part}", ServedFile.of(MODULES / package, part)
