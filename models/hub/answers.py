"""What a hub may answer. Headers and listings are checked before huggingface_hub makes paths of them.

The cache has a file for each ETag and a folder for each commit. A mirror that could choose those names freely would
write outside the cache.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from turbo_webnn.models.printable import printable

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ETAG = re.compile(r'(?:W/)?(?P<quote>"?)(?:[0-9a-f]{40}|[0-9a-f]{64})(?P=quote)')
_DRIVE = re.compile(r"[A-Za-z]:")

MAX_NAME = 1024
"""Characters of a file's path in a repository."""

MAX_BYTES = 1 << 50
"""Bytes of one file that anyone could have: a petabyte."""


class WrongAnswerError(Exception):
    """An answer that no hub gives; its text says what is wrong with it."""


@dataclass(frozen=True)
class ListedFile:
    """A file of a repository as the hub lists it.

    Attributes:
        bytes: its size.
        blob_id: git's id of it, or of the pointer that stands for it where it is large.
        sha256: of a large file (LFS, Xet); None for one that lies in git itself.
    """

    bytes: int
    blob_id: str
    sha256: str | None = None


def require_etag(value: str) -> None:
    """Refuse an ETag header that is not the sha1 or sha256 of a file: the cache names a file after it."""
    if not _ETAG.fullmatch(value):
        raise WrongAnswerError(f"the ETag {_shown(value)}, which is no sha1 or sha256")


def is_etag(value: str) -> bool:
    """Whether `value` is an ETag header that a hub gives for a file."""
    return _ETAG.fullmatch(value) is not None


def require_commit(value: object) -> None:
    """Refuse what is not the id of a commit: the cache names a folder after it."""
    if not isinstance(value, str) or not _COMMIT.fullmatch(value):
        raise WrongAnswerError(f"the commit {_shown(value)}, which is no id of git's")


def require_model_info(answer: object) -> None:
    """Refuse what is not the description of a repository's revision."""
    if not isinstance(answer, dict):
        raise WrongAnswerError(f"a description that is {_shown(answer)}")
    require_commit(answer.get("sha"))


def require_tree(answer: object) -> None:
    """Refuse what is not a page of a listing."""
    if not isinstance(answer, list):
        raise WrongAnswerError(f"a listing that is {_shown(answer)}")
    for entry in answer:
        if not isinstance(entry, dict):
            raise WrongAnswerError(f"a listing with the entry {_shown(entry)}")
        _require_name(entry.get("path"))
        if entry.get("type") == "file":
            lfs = entry.get("lfs")
            if lfs is not None and not isinstance(lfs, dict):
                raise WrongAnswerError(f"a listing with lfs = {_shown(lfs)}")
            listed_file(entry.get("size"), entry.get("oid"), None if lfs is None else lfs.get("oid") or "")


def listed_file(size: object, blob_id: object, sha256: object) -> ListedFile:
    """One file of a listing.

    Raises:
        WrongAnswerError: where a value is not of its kind.
    """
    if type(size) is not int or not 0 <= size <= MAX_BYTES:
        raise WrongAnswerError(f"a listing with size = {_shown(size)}")
    if not isinstance(blob_id, str) or not (_COMMIT.fullmatch(blob_id) or _SHA256.fullmatch(blob_id)):
        raise WrongAnswerError(f"a listing with oid = {_shown(blob_id)}")
    if sha256 is not None and not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        raise WrongAnswerError(f"a listing with the sha256 {_shown(sha256)}")
    return ListedFile(size, blob_id, sha256)


def listing_of(files: Iterable[Any]) -> Mapping[str, ListedFile]:
    """A listing by path, of huggingface_hub's `RepoFile`s; WrongAnswerError as `listed_file`."""
    return {
        file.path: listed_file(file.size, file.blob_id, None if file.lfs is None else file.lfs.sha256) for file in files
    }


def _require_name(name: object) -> None:
    """Refuse a path that would leave the folder of its snapshot, on any system."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise WrongAnswerError(f"a listing with path = {_shown(name)}")
    parts = re.split(r"[/\\]", name)
    if "\0" in name or ".." in parts or not parts[0] or _DRIVE.match(name):
        raise WrongAnswerError(f"a listing with the file {_shown(name)}, which leads out of the repository")


def _shown(value: object) -> str:
    kinds: Mapping[type, str] = {dict: "an object", list: "a list"}
    return kinds.get(type(value)) or printable(repr(value), 60)
