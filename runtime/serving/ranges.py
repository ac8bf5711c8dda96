"""What of a file a request asks for, by the rules of RFC 9110: conditions, and one range of bytes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime

_SPEC = re.compile(r"([0-9]+)-([0-9]*)|-([0-9]+)")
_MOST_DIGITS = 18
"""Of a number that can be a size. Longer ones are not converted: Python refuses those of more than 4,300 digits."""


@dataclass(frozen=True)
class Validators:
    """What tells one state of a file from another: a strong ETag, and an HTTP date in whole seconds."""

    etag: str
    last_modified: str

    @classmethod
    def of(cls, state: os.stat_result) -> Validators:
        """Those of a file in `state`."""
        parts = (state.st_ino, state.st_mtime_ns, state.st_ctime_ns, state.st_size)
        return cls(f'"{"-".join(format(part, "x") for part in parts)}"', formatdate(state.st_mtime, usegmt=True))

    def is_known(self, headers: Mapping[str, str]) -> bool:
        """Whether the reader has this state already, as If-None-Match or else If-Modified-Since says."""
        if (tags := headers.get("if-none-match")) is not None:
            return tags.strip() == "*" or self.etag in (tag.strip().removeprefix("W/") for tag in tags.split(","))
        since = _seconds(headers.get("if-modified-since", ""))
        changed = _seconds(self.last_modified)
        return since is not None and changed is not None and changed <= since

    def allow_range(self, headers: Mapping[str, str]) -> bool:
        """Whether a range may be sent: If-Range, where there is one, names this state.

        A date never does: two states of a file can share a second.
        """
        wanted = headers.get("if-range")
        return wanted is None or wanted.strip() == self.etag


def range_of(header: str | None, size: int) -> range | None:
    """The bytes that a Range header asks for of a file of `size` bytes.

    Returns:
        The bytes; an empty range where there are none, or the header is nonsense (416); None where the whole file is
        to be sent: without a header, with another unit than bytes, or with several ranges, as the standard allows.
    """
    if header is None:
        return None
    unit, equals, listed = header.partition("=")
    if equals and unit.strip().lower() not in ("bytes", ""):
        return None
    specs = [_SPEC.fullmatch(text) for part in listed.split(",") if (text := part.strip(" \t"))]
    spans = [range(0) if spec is None else _span(spec, size) for spec in specs]
    if None in specs or not any(spans):
        return range(0)
    return spans[0] if len(spans) == 1 else None


def _span(spec: re.Match[str], size: int) -> range:
    first, last, suffix = spec.groups()
    if suffix is not None:
        return range(max(size - _number(suffix), 0), size)
    return range(_number(first), min(_number(last) + 1 if last else size, size))


def _number(digits: str) -> int:
    """The number, or one that is larger than any file."""
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= _MOST_DIGITS else 10**_MOST_DIGITS


def _seconds(date: str) -> float | None:
    """Seconds since 1970 of an HTTP date; None where it is none."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None
