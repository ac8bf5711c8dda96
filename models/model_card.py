"""The licence that a model card states. A card is foreign text, and never costs an export."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import yaml

from turbo_webnn.models.printable import printable

CARD = "README.md"
"""The file that is a model card, in a folder as on the hub."""

MAX_CARD_BYTES = 1 << 20
"""Bytes of a card that is worth fetching: published ones have up to 200 KB."""

MAX_FRONT_MATTER_BYTES = 1 << 16
"""The front matter of published cards has less than 10 KB; some list hundreds of data sets."""

MAX_DEPTH = 16
"""Lists and mappings inside each other: published cards have 7, for their figures."""

MAX_LICENSES = 8
"""Names of a list that are stated."""


def license_of(folder: Path) -> str | None:
    """The licence that the model card in `folder` states, by name where it has one.

    Returns:
        One line, or None where there is no card, the card is not readable, or it states no text as its licence.
    """
    try:
        text = _front_matter(folder / CARD)
        _require_plain(text)
        data = yaml.safe_load(text)
    except (OSError, ValueError, OverflowError, RecursionError, yaml.YAMLError):
        return None
    if not isinstance(data, dict):
        return None
    return _stated(data.get("license_name")) or _stated(data.get("license"))


def _stated(value: object) -> str | None:
    names = value if isinstance(value, list) else [value]
    texts = [name for name in names if isinstance(name, str)]
    return printable(", ".join(texts[:MAX_LICENSES])) or None if len(texts) == len(names) else None


def _require_plain(text: str) -> None:
    """Refuse YAML whose values are larger than its text: an alias multiplies what it names, and each level costs.

    Raises:
        yaml.YAMLError: where it has an alias, is nested too deep, or is no YAML.
    """
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("the card has an alias")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.YAMLError("the card is nested too deep")


def _front_matter(card: Path) -> str:
    """What stands between the first two lines of dashes; ValueError where nothing does, or too much."""
    opened = os.open(card, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait for a writer
    with open(opened, "rb") as file:  # noqa: PTH123 - it is open already
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise ValueError("the card is no file")
        start = file.read(MAX_FRONT_MATTER_BYTES)
    lines = start.decode("utf-8-sig", errors="replace").splitlines()
    if not lines or lines[0].rstrip() != "---":
        raise ValueError("the card has no front matter")
    end = next(number for number, line in enumerate([*lines[1:], None], 1) if line is None or line.rstrip() == "---")
    if end == len(lines):
        raise ValueError("the front matter has no end")
    return "\n".join(lines[1:end])
