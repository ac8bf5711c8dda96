"""Sizes in bytes as people write them."""

from __future__ import annotations

import re

from turbo_webnn.models.errors import RequestError

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}

_WRITTEN = re.compile(r"(\d+(?:\.\d+)?) *([KMG]?B)?", re.IGNORECASE)


def parse_bytes(text: str) -> int:
    """The bytes that `text` means, in decimal units.

    Raises:
        RequestError: where it is no size, or is less than a byte.

    Example:
        >>> parse_bytes("450MB"), parse_bytes("1.2 GB"), parse_bytes("4096")
        (450000000, 1200000000, 4096)
    """
    written = _WRITTEN.fullmatch(text.strip())
    count = round(float(written[1]) * _UNITS[(written[2] or "").upper()]) if written else 0
    if count < 1:
        raise RequestError(f"{text!r} is no size", "give 450MB, 1.2GB, or a number of bytes")
    return count
