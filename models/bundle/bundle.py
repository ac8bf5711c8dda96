"""An opened bundle on disk: its files exist and match the manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from turbo_webnn.models.arguments import require_types
from turbo_webnn.models.bundle.manifest import MANIFEST, Manifest, read_manifest
from turbo_webnn.models.chain import BundleFile, Chain, Graph
from turbo_webnn.models.digests import FileState, read_sha256, sha256_of_all
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.family import Family
from turbo_webnn.models.families.registry import family_named

_WHOLE = "copy the bundle whole, or export it anew"

_TRIES = 5
"""How often a bundle is read if another run replaces it at the same time."""


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk.

    Attributes:
        states: the states of its files when the bundle was opened, by path, which show later whether a file was
            replaced. Empty if the files were not read.
    """

    folder: Path
    manifest: Manifest
    states: Mapping[str, FileState] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def open(cls, folder: str | Path) -> Bundle:
        """Open the bundle in `folder`, and check the sha256 of every file that its manifest names.

        A file is read only once on this machine until it changes (`models.digests`).

        Raises:
            RequestError: if there is no bundle, or if a file that the manifest names is missing, damaged or unreadable.
        """
        return cls._open(folder, find_damage=Bundle._find_damage)

    @classmethod
    def open_unread(cls, folder: str | Path) -> Bundle:
        """Open the bundle in `folder`; check that its files exist, without reading them.

        Raises:
            RequestError: if there is no bundle, or if a file that the manifest names is missing or has another size.
        """
        return cls._open(folder, find_damage=lambda _bundle: None)

    @classmethod
    def _open(cls, folder: str | Path, find_damage: Callable[[Bundle], str | None]) -> Bundle:
        require_types(folder=(folder, str | Path))
        folder = Path(folder)
        for tries_left in reversed(range(_TRIES)):
            manifest_state = _state(folder / MANIFEST)
            if manifest_state is None:
                raise RequestError(f"{folder} is not a bundle: it has no {MANIFEST}", "make one: turbo-webnn export")
            manifest = read_manifest(folder)
            states = {file.path: _state(folder / file.path) for file in manifest.named_files()}
            bundle = cls(folder, manifest, {path: state for path, state in states.items() if state is not None})
            fault = bundle._find_misfit() or find_damage(bundle)
            if fault is None:
                return bundle
            if not tries_left or _state(folder / MANIFEST) == manifest_state:  # else replaced while it was read
                raise RequestError(fault, _WHOLE)
        raise AssertionError("the last try returns or raises")

    def _find_misfit(self) -> str | None:
        """A text about the first file that is missing, outside the bundle or of another size; None if there is none."""
        resolved = self.folder.resolve()
        for file in self.files():
            path, state = self.folder / file.path, self.states.get(file.path)
            if state is None:
                return f"{path} is missing"
            if not path.resolve().is_relative_to(resolved):
                return f"{path} is a link that leaves the bundle (cp -rL copies what it links to)"
            if state.bytes != file.bytes:
                return f"{path} has {state.bytes} bytes, the manifest says {file.bytes}"
        return None

    def _find_damage(self) -> str | None:
        """A text about the first file that cannot be read or has another sha256; None if there is none."""
        files = list(self.files())
        try:
            digests = sha256_of_all(self.folder / file.path for file in files)
        except OSError as error:
            return f"{error.filename} cannot be read ({error.strerror})"
        damaged = (file for file in files if digests[self.folder / file.path] != file.sha256)
        return next((_mismatch(self.folder, file) for file in damaged), None)

    @property
    def family(self) -> Family:
        """The family of its pipeline; RequestError if this version has no family of that name."""
        return family_named(self.manifest.family, str(self.folder))

    def files(self) -> Iterator[BundleFile]:
        """Every file that the manifest names."""
        return self.manifest.named_files()

    def chain(self, component: str) -> Chain:
        """The component's entry; RequestError if the bundle has none."""
        chain = self.manifest.components.get(component)
        if chain is None:
            names = ", ".join(self.manifest.components)
            raise RequestError(
                f"{self.folder} has no {component}", f"it has {names}: export with --component {component}"
            )
        return chain

    def path(self, graph: Graph) -> Path:
        """The graph's .onnx file."""
        return self.folder / graph.path

    @contextmanager
    def unchanged(self, files: Iterable[BundleFile]) -> Iterator[None]:
        """Check before and after the block, which reads `files`, that they did not change since the bundle was opened.

        Raises:
            RequestError: if a file was replaced or removed since then.
        """
        files = tuple(files)
        self._require_opened(files)
        try:
            yield
        except RequestError:
            self._require_opened(files)  # a changed file may be the cause of the error in the block
            raise
        self._require_opened(files)

    def _require_opened(self, files: Iterable[BundleFile]) -> None:
        for file in files:
            opened, current = self.states.get(file.path), _state(self.folder / file.path)
            if opened is not None and (current is None or not current.is_same_content(opened)):
                raise RequestError(
                    f"{self.folder / file.path} was replaced or removed since the bundle was opened",
                    "open the bundle anew",
                )

    def require_intact(self, files: Iterable[BundleFile] | None = None) -> None:
        """Read `files`, by default every file, and compare their sha256; RequestError names the first that differs."""
        for file in self.files() if files is None else files:
            try:
                digest = read_sha256(self.folder / file.path)
            except OSError as error:
                raise RequestError(f"{self.folder / file.path} cannot be read ({error.strerror})", _WHOLE) from error
            if digest != file.sha256:
                raise RequestError(_mismatch(self.folder, file), _WHOLE)


def describe(folder: Path, path: Path) -> BundleFile:
    """The entry of the file at `path` in the bundle at `folder`."""
    return BundleFile(path.relative_to(folder).as_posix(), path.stat().st_size, read_sha256(path))


def _mismatch(folder: Path, file: BundleFile) -> str:
    return f"{folder / file.path} does not match its sha256 in the manifest"


def _state(path: Path) -> FileState | None:
    """The state of the regular file at `path`; None if there is none."""
    try:
        return FileState.of(path) if path.is_file() else None
    except OSError:
        return None
