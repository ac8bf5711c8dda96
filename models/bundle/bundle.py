"""A bundle on disk, opened: its files are there, and are those that the manifest names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.bundle.manifest import MANIFEST, Manifest
from models.chain import BundleFile, Chain, Graph
from models.errors import RequestError
from models.family import Family, family_named
from models.json_file import read_json


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: str | Path) -> Bundle:
        """Read the bundle in `folder`; files are looked for, not read.

        Raises:
            RequestError: where there is no bundle, or a file that the manifest names is missing or of another size.
        """
        folder = Path(folder)
        if not (folder / MANIFEST).is_file():
            raise RequestError(f"{folder} is not a bundle: it has no {MANIFEST}", "make one: turbo-webnn export")
        bundle = cls(folder, Manifest.from_json(read_json(folder / MANIFEST), folder / MANIFEST))
        for file in bundle.files():
            path = folder / file.path
            if not path.is_file():
                raise RequestError(f"{path} is missing", "copy the bundle whole, or export it anew")
            if path.stat().st_size != file.bytes:
                raise RequestError(
                    f"{path} has {path.stat().st_size} bytes, the manifest says {file.bytes}",
                    "copy the bundle whole, or export it anew",
                )
        return bundle

    @property
    def family(self) -> Family:
        """The family of its pipeline; RequestError where this version knows none of that name."""
        return family_named(self.manifest.family, str(self.folder))

    def files(self) -> Iterator[BundleFile]:
        """Every file that the manifest names."""
        for chain in self.manifest.components.values():
            yield from chain.files
        for tokenizer in self.manifest.tokenizers.values():
            yield from tokenizer.files
        yield from self.manifest.files

    def chain(self, component: str) -> Chain:
        """The component's entry; RequestError where the bundle has none."""
        chain = self.manifest.components.get(component)
        if chain is None:
            held = ", ".join(self.manifest.components)
            raise RequestError(
                f"{self.folder} has no {component}", f"it has {held}: export with --component {component}"
            )
        return chain

    def path(self, graph: Graph) -> Path:
        """The graph's .onnx file."""
        return self.folder / graph.path

    def require_intact(self) -> None:
        """Read every file and compare its sha256; RequestError names the first that differs."""
        for file in self.files():
            if describe(self.folder, self.folder / file.path).sha256 != file.sha256:
                raise RequestError(
                    f"{self.folder / file.path} does not match its sha256 in the manifest",
                    "copy the bundle whole, or export it anew",
                )


def describe(folder: Path, path: Path) -> BundleFile:
    """The entry of the file at `path` in the bundle at `folder`."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return BundleFile(path.relative_to(folder).as_posix(), path.stat().st_size, digest)
