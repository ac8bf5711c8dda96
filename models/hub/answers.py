"""Checks of the hub's headers and listings, before huggingface_hub makes paths of their values.

The cache has a file for each ETag and a folder for each commit. Without these checks a malicious mirror could choose
names that lead outside the cache.
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
"""The largest number of characters in the path of a file."""

MAX_BYTES = 1 << 50
"""The largest plausible size of one file: a petabyte."""


class WrongAnswerError(Exception):
    """An invalid answer of the hub; its text describes the fault."""


@dataclass(frozen=True)
class ListedFile:
    """An entry of the hub's listing of a repository.

    Attributes:
        bytes: the size of the file.
        blob_id: the git id of the file, or of its pointer file where the file is large.
        sha256: of a large file (LFS, Xet); None for a file that is stored in git itself.
    """

    bytes: int
    blob_id: str
    sha256: str | None = None


def require_etag(value: str) -> None:
    """Refuse an ETag header that is neither a sha1 nor a sha256: the cache uses it as a file name."""
    if not _ETAG.fullmatch(value):
        raise WrongAnswerError(f"the ETag {_description(value)}, which is no sha1 or sha256")


def is_etag(value: str) -> bool:
    """Whether `value` is a valid ETag header of a file."""
    return _ETAG.fullmatch(value) is not None


def require_commit(value: object) -> None:
    """Refuse a value that is not a commit id: the cache uses it as a folder name."""
    if not isinstance(value, str) or not _COMMIT.fullmatch(value):
        raise WrongAnswerError(f"the commit {_description(value)}, which is no id of git's")


def require_model_info(answer: object) -> None:
    """Refuse an answer that does not describe a revision of a repository."""
    if not isinstance(answer, dict):
        raise WrongAnswerError(f"a description that is {_description(answer)}")
    require_commit(answer.get("sha"))


def require_tree(answer: object) -> None:
    """Refuse an answer that is not a page of a file listing."""
    if not isinstance(answer, list):
        raise WrongAnswerError(f"a listing that is {_description(answer)}")
    for entry in answer:
        if not isinstance(entry, dict):
            raise WrongAnswerError(f"a listing with the entry {_description(entry)}")
        _require_name(entry.get("path"))
        if entry.get("type") == "file":
            lfs = entry.get("lfs")
            if lfs is not None and not isinstance(lfs, dict):
                raise WrongAnswerError(f"a listing with lfs = {_description(lfs)}")
            listed_file(entry.get("size"), entry.get("oid"), None if lfs is None else lfs.get("oid") or "")


def listed_file(size: object, blob_id: object, sha256: object) -> ListedFile:
    """Make one entry of a listing from the values of an answer.

    Raises:
        WrongAnswerError: where a value is invalid.
    """
    if type(size) is not int or not 0 <= size <= MAX_BYTES:
        raise WrongAnswerError(f"a listing with size = {_description(size)}")
    if not isinstance(blob_id, str) or not (_COMMIT.fullmatch(blob_id) or _SHA256.fullmatch(blob_id)):
        raise WrongAnswerError(f"a listing with oid = {_description(blob_id)}")
    if sha256 is not None and not (isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        raise WrongAnswerError(f"a listing with the sha256 {_description(sha256)}")
    return ListedFile(size, blob_id, sha256)


def listing_of(files: Iterable[Any]) -> Mapping[str, ListedFile]:
    """Make a listing by path from `RepoFile`s of huggingface_hub; raises WrongAnswerError like `listed_file`."""
    return {
        file.path: listed_file(file.size, file.blob_id, None if file.lfs is None else file.lfs.sha256) for file in files
    }


def _require_name(name: object) -> None:
    """Refuse a path that leads outside the snapshot's folder on any operating system."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise WrongAnswerError(f"a listing with path = {_description(name)}")
    parts = re.split(r"[/\\]", name)
    if "\0" in name or ".." in parts or not parts[0] or _DRIVE.match(name):
        raise WrongAnswerError(f"a listing with the file {_description(name)}, which leads out of the repository")


def _description(value: object) -> str:
    names_by_type: Mapping[type, str] = {dict: "an object", list: "a list"}
    return names_by_type.get(type(value)) or printable(repr(value), 60)
