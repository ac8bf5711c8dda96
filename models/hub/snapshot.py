"""One commit of a repository: the hub's listing of it, and its files in the user's cache.

huggingface_hub downloads the files and manages the cache. This module compares each file with the hub's digest.
"""

from __future__ import annotations

import glob
import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType

import huggingface_hub as hf
from huggingface_hub import constants
from huggingface_hub.errors import (
    CachedRepoTreeNotFoundError,
    HTTPError,
    OfflineModeIsEnabled,
    SafetensorsParsingError,
)
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from turbo_webnn.models.checkpoint import StoredTensor
from turbo_webnn.models.checkpoint.safetensors_file import Header
from turbo_webnn.models.digests import sha256_of_all
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.hub.answers import ListedFile, WrongAnswerError, listing_of
from turbo_webnn.models.hub.errors import as_request_errors
from turbo_webnn.models.hub.guard import MAX_ANSWER_BYTES, Guard

_SHA256 = re.compile(r"[0-9a-f]{64}")
_REVISION = re.compile(r"(?!.*(?:\.\.|//|\\))[\w.+-][\w./+-]*")


class Hub:
    """Access to the hub during one run, with limited requests.

    Args:
        progress: whether huggingface_hub shows its progress bars.
    """

    def __init__(self, *, progress: bool) -> None:
        self._progress = progress
        self._guard = Guard()
        self._stack = ExitStack()
        self._entered = False

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, at)

    def snapshot(self, repo: str, revision: str | None, files: Iterable[str]) -> Snapshot:
        """Download the existing ones of `files` from `repo` at `revision`.

        Raises:
            RequestError: where the repository, the revision or the hub is not reachable, or access is refused.
        """
        if revision is not None and not _REVISION.fullmatch(revision):  # it becomes a path in the cache
            raise RequestError(f"{repo} has no revision {revision!r}", "give a branch, a tag or a commit")
        names = list(files)
        self._enter()
        with as_request_errors(repo, revision, self._guard):
            folder = Path(hf.snapshot_download(repo, revision=revision, allow_patterns=_escaped(names)))
        snapshot = Snapshot(repo, folder, self._listing(repo, folder), self._guard)
        snapshot.require_intact(name for name in names if name in snapshot.listing)
        return snapshot

    def _enter(self) -> None:
        """Limit the library's requests from now on; a run without the hub does not change the library."""
        if not self._entered:
            self._entered = True
            self._stack.enter_context(self._guard.installed())
            self._stack.enter_context(shown_progress(shown=self._progress))

    def _listing(self, repo: str, folder: Path) -> Mapping[str, ListedFile]:
        try:
            return listing_of(hf.get_cached_repo_tree(repo, revision=folder.name))
        except (CachedRepoTreeNotFoundError, WrongAnswerError):
            pass  # written by an older huggingface_hub, or damaged
        with as_request_errors(repo, folder.name, self._guard):
            try:
                entries = list(hf.HfApi().list_repo_tree(repo, recursive=True, revision=folder.name))
            except (HTTPError, OfflineModeIsEnabled):
                return _listing_on_disk(folder)
            return listing_of(entry for entry in entries if isinstance(entry, hf.RepoFile))


class Snapshot:
    """A commit of `repo`.

    Attributes:
        repo: OWNER/NAME.
        folder: the folder in the user's cache with the downloaded files.
        listing: all files of the commit, by path.
    """

    def __init__(self, repo: str, folder: Path, listing: Mapping[str, ListedFile], guard: Guard) -> None:
        self.repo, self.folder, self.listing = repo, folder, listing
        self._guard = guard

    @property
    def commit(self) -> str:
        """The id of the commit."""
        return self.folder.name

    def names_in(self, subfolder: str) -> list[str]:
        """The names of the files directly in `subfolder`; "" is the root of the repository."""
        paths = [PurePosixPath(path) for path in self.listing]
        return [path.name for path in paths if path.parent == PurePosixPath(subfolder)]

    def header(self, file: str) -> Header | None:
        """Read the header of the `.safetensors` file `file`, by a request for a part of it.

        Returns:
            None where the hub does not serve parts of files.

        Raises:
            RequestError: where the hub is not reachable, or the file is no safetensors file.
        """
        try:
            with as_request_errors(self.repo, self.commit, self._guard):
                metadata = hf.HfApi().parse_safetensors_file_metadata(self.repo, file, revision=self.commit)
        except SafetensorsParsingError as error:
            raise RequestError(
                f"{file} of {self.repo} is no safetensors file, or has a damaged header", "give another file"
            ) from error
        except RequestError:
            self._guard.trouble = None  # a hub that serves whole files only is no reason to stop
            return None
        path = self.folder / file
        tensors = {
            name: StoredTensor(name, str(info.dtype), tuple(info.shape), path, 0)
            for name, info in metadata.tensors.items()
        }
        return Header(tensors, {str(key): str(value) for key, value in (metadata.metadata or {}).items()})

    def missing_bytes(self, files: Iterable[str]) -> int:
        """The total size of those `files` that are not in the cache."""
        return sum(self.listing[file].bytes for file in files if not (self.folder / file).is_file())

    def fetch(self, files: Iterable[str]) -> None:
        """Download `files` of the listing into the cache, and compare each with the hub's digest.

        Raises:
            RequestError: where a download is incomplete, or a file has another digest. Such a file is deleted.
        """
        needed = list(files)
        absent = [file for file in needed if not (self.folder / file).is_file()]
        if absent:
            self._guard.largest = max(MAX_ANSWER_BYTES, *(self.listing[file].bytes for file in absent))
            with as_request_errors(self.repo, self.commit, self._guard):
                hf.snapshot_download(self.repo, revision=self.commit, allow_patterns=_escaped(absent))
        self.require_intact(needed)

    def require_intact(self, files: Iterable[str]) -> None:
        """Refuse `files` that are missing in the cache or have another digest than the hub's; delete the latter.

        Raises:
            RequestError: names the first such file.
        """
        paths = {file: self.folder / file for file in files}
        for file, path in paths.items():
            if not path.is_file():
                raise RequestError(f"{file} of {self.repo} did not arrive", "check HF_ENDPOINT, and try again")
        large = [path for file, path in paths.items() if self.listing[file].sha256 is not None]
        sha256s = sha256_of_all(large)
        for file, path in paths.items():
            digests = {sha256s[path]} if path in sha256s else _digests_of_small(path)
            expected = self.listing[file].sha256 or self.listing[file].blob_id
            blob = _blob_name(path)
            if expected not in digests or (_SHA256.fullmatch(blob) and blob not in digests):
                raise _remove_damaged(self.repo, file, path)


@contextmanager
def shown_progress(*, shown: bool) -> Iterator[None]:
    """Disable the progress bars of huggingface_hub inside the block unless `shown`; restore them afterwards."""
    if shown or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


def require_space(needed: int) -> None:
    """Refuse a download that is larger than the free space on the disk of the user's cache.

    Args:
        needed: the size of the download in bytes.

    Raises:
        RequestError: states the needed and the free space.
    """
    cache = Path(constants.HF_HUB_CACHE).expanduser()
    existing = next(folder for folder in (cache, *cache.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise RequestError(
            f"the weights take {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free where the hub's cache lies",
            "free some space, or set HF_HOME to a folder on another disk",
        )


def _escaped(files: Iterable[str]) -> list[str]:
    return [glob.escape(file) for file in files]


def _listing_on_disk(folder: Path) -> Mapping[str, ListedFile]:
    """Make a listing of the files in the cache from the names of their blobs."""
    listing = {}
    for path in folder.rglob("*"):
        if path.is_file():
            name = _blob_name(path)
            sha256 = name if _SHA256.fullmatch(name) else None
            git_id = name if re.fullmatch(r"[0-9a-f]{40}", name) else _git_blob_id(path.read_bytes())
            listing[path.relative_to(folder).as_posix()] = ListedFile(path.stat().st_size, git_id, sha256)
    return listing


def _blob_name(path: Path) -> str:
    """The name of the blob of `path` in the cache, an ETag; "" where the system has no links."""
    return path.readlink().name if path.is_symlink() else ""


def _git_blob_id(contents: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(contents) + contents, usedforsecurity=False).hexdigest()


def _digests_of_small(path: Path) -> set[str]:
    """The possible digests of a file in git: its git id, or the plain sha1 or sha256 that some mirrors state."""
    contents = path.read_bytes()
    plain = {hashlib.sha1(contents, usedforsecurity=False).hexdigest(), hashlib.sha256(contents).hexdigest()}
    return {_git_blob_id(contents), *plain}


def _remove_damaged(repo: str, file: str, path: Path) -> RequestError:
    wrong = f"{file} of {repo} has other bytes than the hub states"
    try:
        for link in (path, *_targets(path)):
            link.unlink(missing_ok=True)
    except OSError as error:
        return RequestError(f"{wrong}, and it cannot be removed ({error.strerror})", f"remove {path.resolve()}")
    return RequestError(f"{wrong}; it was removed from the cache", "try again, or check HF_ENDPOINT and the network")


def _targets(path: Path) -> list[Path]:
    """The chain of targets of the link `path`, as far as they are in the cache."""
    cache = Path(constants.HF_HUB_CACHE).expanduser().resolve()
    targets = []
    while path.is_symlink():
        path = path.parent.resolve() / path.readlink()
        if not path.parent.resolve().is_relative_to(cache):
            break
        targets.append(path)
    return targets
