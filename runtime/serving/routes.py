"""The served URL paths and their files; a file is opened only inside its folder."""

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
"""The npm package of the page and the browser module."""

MODULES = Path(__file__).parents[2] / "node_modules"

NPM_FILES = {
    "onnxruntime-web": (
        "dist/ort.webgpu.min.mjs",
        "dist/ort-wasm-simd-threaded.asyncify.mjs",
        "dist/ort-wasm-simd-threaded.asyncify.wasm",
    ),
    "@huggingface/tokenizers": ("dist/tokenizers.min.mjs",),
    "hash-wasm": ("dist/index.esm.min.js",),
}
"""The files of npm packages that the page loads; `web/package.json` pins the versions, the import map has the paths."""

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
    """A served file, which must be inside `folder`.

    Attributes:
        folder: a real path, without symbolic links.
        name: relative to `folder`, with forward slashes.
        media_type: the value of the Content-Type header.
    """

    folder: Path
    name: str
    media_type: str

    @classmethod
    def of(cls, folder: Path, name: str) -> ServedFile:
        """The file `name` in `folder`; links in the path of `folder` itself are resolved now."""
        suffix = PurePosixPath(name).suffix
        return cls(folder.resolve(), name, (_WEB_TYPES | _DATA_TYPES).get(suffix, _DATA))

    @classmethod
    def of_data(cls, folder: Path, name: str) -> ServedFile:
        """The same for an untrusted file, which a browser must not run or show as a page."""
        return cls(folder.resolve(), name, _DATA_TYPES.get(PurePosixPath(name).suffix, _DATA))

    @property
    def path(self) -> Path:
        """The path of the file."""
        return self.folder / self.name

    def open(self) -> BinaryIO | None:
        """Open the file for reading; return None where it is no regular file, or links lead out of the folder.

        Links are resolved first. The resolved path is then opened without following links, so that a link that
        appears in between is refused too.
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
    """Open the file at `parts` in `folder`; raises OSError where one of `parts` is a symbolic link."""
    if os.open not in os.supports_dir_fd:  # Windows, where the creation of links needs a privilege
        return os.open(folder.joinpath(*parts), _FILE_FLAGS)
    parent = os.open(folder, _FOLDER_FLAGS)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER_FLAGS, dir_fd=parent)
            os.close(parent)
            parent = inner
        return os.open(parts[-1], _FILE_FLAGS | _NO_LINK, dir_fd=parent)
    finally:
        os.close(parent)


WORKERS = frozenset({"/worker.mjs", "/npm/onnxruntime-web/dist/ort-wasm-simd-threaded.asyncify.mjs"})
"""URL paths of the worker scripts: the worker that draws, and the threads of its WASM."""


def routes_of(bundle: Bundle) -> dict[str, ServedFile]:
    """All served URL paths and their files: the page, the module, npm packages, and the files of the manifest.

    Raises:
        RequestError: where an npm package is missing, or does not have the pinned version.
    """
    pages = (path.relative_to(WEB).as_posix() for path in WEB.rglob("*") if path.suffix in _WEB_TYPES)
    files = (MANIFEST, *(file.path for file in bundle.files()))
    return {
        "/": ServedFile.of(WEB, "page/index.html"),
        **{f"/{name}": ServedFile.of(WEB, name) for name in pages},
        **dict(_npm_files()),
        **{f"/bundle/{name}": ServedFile.of_data(bundle.folder, name) for name in files},
    }


def _npm_files() -> Iterator[tuple[str, ServedFile]]:
    pinned = json.loads((WEB / "package.json").read_text())["dependencies"]
    right = f"run npm ci --ignore-scripts in {MODULES.parent}"
    for package, parts in NPM_FILES.items():
        manifest = MODULES / package / "package.json"
        if not manifest.is_file():
            raise RequestError(f"{package} {pinned[package]} is not installed", right)
        try:
            version = json.loads(manifest.read_text())["version"]
        except (ValueError, KeyError, TypeError) as error:
            raise RequestError(f"{manifest} is damaged", right) from error
        if version != pinned[package]:
            raise RequestError(f"{package} is {version}, the page is made for {pinned[package]}", right)
        for part in parts:
            yield f"/npm/{package}/{part}", ServedFile.of(MODULES / package, part)
