"""Untrusted text as one line of a message."""

from __future__ import annotations


def printable(text: str, limit: int = 200) -> str:
    """Convert `text` to one line: no control characters, single spaces, at most `limit` characters."""
    start = text[: 4 * limit]  # untrusted text may be very long; the rest is not shown
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in start).split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."
