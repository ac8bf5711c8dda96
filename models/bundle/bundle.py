"""A bundle on disk, opened: its files are there, and are those that the manifest names."""

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
"""How often a bundle is read again that another run replaces meanwhile."""


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk.

    Attributes:
        states: of its files when they were opened, by path; what shows later that one was replaced. Empty where the
            files were not looked at.
    """

    folder: Path
    manifest: Manifest
    states: Mapping[str, FileState] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def open(cls, folder: str | Path) -> Bundle:
        """Open the bundle in `folder`, whose files must be those that its manifest names, by their sha256.

        A file is read once on this machine for as long as it stays the same one (`models.digests`).

        Raises:
            RequestError: where there is no bundle, or a file that the manifest names is missing, damaged or
                unreadable.
        """
        return cls._opened(folder, damaged=Bundle._damaged)

    @classmethod
    def open_unread(cls, folder: str | Path) -> Bundle:
        """Open the bundle in `folder`; files are looked for, not read.

        Raises:
            RequestError: where there is no bundle, or a file that the manifest names is missing or of another size.
        """
        return cls._opened(folder, damaged=lambda _bundle: None)

    @classmethod
    def _opened(cls, place: str | Path, damaged: Callable[[Bundle], str | None]) -> Bundle:
        require_types(folder=(place, str | Path))
        folder = Path(place)
        for tries_left in reversed(range(_TRIES)):
            before = _state(folder / MANIFEST)
            if before is None:
                raise RequestError(f"{folder} is not a bundle: it has no {MANIFEST}", "make one: turbo-webnn export")
            manifest = read_manifest(folder)
            states = {file.path: _state(folder / file.path) for file in manifest.named_files()}
            bundle = cls(folder, manifest, {path: state for path, state in states.items() if state is not None})
            wrong = bundle._misfit() or damaged(bundle)
            if wrong is None:
                return bundle
            if not tries_left or _state(folder / MANIFEST) == before:  # else it was replaced while it was read
                raise RequestError(wrong, _WHOLE)
        raise AssertionError("the last try returns or raises")

    def _misfit(self) -> str | None:
        """What is wrong with the first file that is missing, elsewhere or of another size; None where none is."""
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

    def _damaged(self) -> str | None:
        """What is wrong with the first file that is not the one named in the manifest; None where none is."""
        files = list(self.files())
        try:
            digests = sha256_of_all(self.folder / file.path for file in files)
        except OSError as error:
            return f"{error.filename} cannot be read ({error.strerror})"
        wrong = (file for file in files if digests[self.folder / file.path] != file.sha256)
        return next((_mismatch(self.folder, file) for file in wrong), None)

    @property
    def family(self) -> Family:
        """The family of its pipeline; RequestError where this version knows none of that name."""
        return family_named(self.manifest.family, str(self.folder))

    def files(self) -> Iterator[BundleFile]:
        """Every file that the manifest names."""
        return self.manifest.named_files()

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

    @contextmanager
    def unchanged(self, files: Iterable[BundleFile]) -> Iterator[None]:
        """Around the reading of `files`: they are those that were opened, before and after.

        Raises:
            RequestError: where one was replaced or removed since.
        """
        files = tuple(files)
        self._require_opened(files)
        try:
            yield
        except RequestError:
            self._require_opened(files)  # what went wrong in the block may come of that
            raise
        self._require_opened(files)

    def _require_opened(self, files: Iterable[BundleFile]) -> None:
        for file in files:
            opened, now = self.states.get(file.path), _state(self.folder / file.path)
            if opened is not None and (now is None or not now.is_same_content(opened)):
                raise RequestError(
                    f"{self.folder / file.path} was replaced or removed since the bundle was opened",
                    "open the bundle anew",
                )

    def require_intact(self, files: Iterable[BundleFile] | None = None) -> None:
        """Read every file, or those of `files`, and compare its sha256; RequestError names the first that differs."""
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
    """The state of the regular file at `path`; None where there is none."""
    try:
        return FileState.of(path) if path.is_file() else None
    except OSError:
        return None
