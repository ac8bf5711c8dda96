"""Foreign text made fit for one line of a message."""

from __future__ import annotations


def printable(text: str, limit: int = 200) -> str:
    """`text` on one line: without control characters, spaces run together, cut to `limit` characters."""
    start = text[: 4 * limit]  # a foreign text may be long; what follows is not shown anyway
    shown = " ".join("".join(letter if letter.isprintable() else " " for letter in start).split())
    return shown if len(shown) <= limit else f"{shown[: limit - 3]}..."
