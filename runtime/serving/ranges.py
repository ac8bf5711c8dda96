"""Conditional requests and single byte ranges, by the rules of RFC 9110."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime

_SPEC = re.compile(r"([0-9]+)-([0-9]*)|-([0-9]+)")
_MAX_DIGITS = 18
"""The most digits of a file size. Longer numbers are not converted: Python refuses more than 4,300 digits."""


@dataclass(frozen=True)
class Validators:
    """The identifiers of a file's state: a strong ETag, and an HTTP date in whole seconds."""

    etag: str
    last_modified: str

    @classmethod
    def of(cls, state: os.stat_result) -> Validators:
        """The validators of a file with the status `state`."""
        parts = (state.st_ino, state.st_mtime_ns, state.st_ctime_ns, state.st_size)
        return cls(f'"{"-".join(format(part, "x") for part in parts)}"', formatdate(state.st_mtime, usegmt=True))

    def is_known(self, headers: Mapping[str, str]) -> bool:
        """Whether If-None-Match, or otherwise If-Modified-Since, states that the client has this state already."""
        if (tags := headers.get("if-none-match")) is not None:
            return tags.strip() == "*" or self.etag in (tag.strip().removeprefix("W/") for tag in tags.split(","))
        since = _seconds(headers.get("if-modified-since", ""))
        changed = _seconds(self.last_modified)
        return since is not None and changed is not None and changed <= since

    def allow_range(self, headers: Mapping[str, str]) -> bool:
        """Whether a range may be sent: there is no If-Range header, or it has the ETag of this state.

        A date is not accepted: two states of a file can have the same second.
        """
        if_range = headers.get("if-range")
        return if_range is None or if_range.strip() == self.etag


def range_of(header: str | None, size: int) -> range | None:
    """The bytes that a Range header requests from a file of `size` bytes.

    Returns:
        The positions of the bytes; an empty range where none exist or the header is malformed (416). None where the
        whole file is the answer: for no header, another unit than bytes, or several ranges, as the standard permits.
    """
    if header is None:
        return None
    unit, equals, specs_text = header.partition("=")
    if equals and unit.strip().lower() not in ("bytes", ""):
        return None
    specs = [_SPEC.fullmatch(text) for part in specs_text.split(",") if (text := part.strip(" \t"))]
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
    """The number of `digits`, or a number that is larger than any file."""
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= _MAX_DIGITS else 10**_MAX_DIGITS


def _seconds(date: str) -> float | None:
    """Seconds since 1970 of an HTTP date; None where `date` is not valid."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None
