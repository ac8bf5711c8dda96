"""Sizes in bytes as users write them."""

from __future__ import annotations

import re

from turbo_webnn.models.errors import RequestError

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}

_SIZE = re.compile(r"(\d+(?:\.\d+)?) *([KMG]?B)?", re.IGNORECASE)


def parse_bytes(text: str) -> int:
    """Parse a size in bytes, with decimal units.

    Args:
        text: a number, and optionally a unit.

    Returns:
        The number of bytes.

    Raises:
        RequestError: where `text` is no size, or less than a byte.

    Example:
        >>> parse_bytes("450MB"), parse_bytes("1.2 GB"), parse_bytes("4096")
        (450000000, 1200000000, 4096)
    """
    match = _SIZE.fullmatch(text.strip())
    count = round(float(match[1]) * _UNITS[(match[2] or "").upper()]) if match else 0
    if count < 1:
        raise RequestError(f"{text!r} is no size", "give 450MB, 1.2GB, or a number of bytes")
    return count
