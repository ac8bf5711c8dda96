"""The licence that a model card states. A card is untrusted text; an invalid one never fails an export."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import yaml

from turbo_webnn.models.printable import printable

CARD = "README.md"
"""The file name of a model card, in a folder and on the hub."""

MAX_CARD_BYTES = 1 << 20
"""The largest size of a card to fetch; published ones have up to 200 KB."""

MAX_FRONT_MATTER_BYTES = 1 << 16
"""The largest size of the front matter; that of published cards has less than 10 KB."""

MAX_DEPTH = 16
"""The deepest permitted nesting of lists and mappings; published cards have 7 levels, for their figures."""

MAX_LICENSES = 8
"""The number of names that are used from a list of licences."""


def license_of(folder: Path) -> str | None:
    """The licence that the model card in `folder` states.

    Returns:
        One line with the name or id of the licence; None where the card is missing or unreadable, or states no licence.
    """
    try:
        text = _front_matter(folder / CARD)
        _require_plain(text)
        data = yaml.safe_load(text)
    except (OSError, ValueError, OverflowError, RecursionError, yaml.YAMLError):
        return None
    if not isinstance(data, dict):
        return None
    return _license_text(data.get("license_name")) or _license_text(data.get("license"))


def _license_text(value: object) -> str | None:
    names = value if isinstance(value, list) else [value]
    texts = [name for name in names if isinstance(name, str)]
    return printable(", ".join(texts[:MAX_LICENSES])) or None if len(texts) == len(names) else None


def _require_plain(text: str) -> None:
    """Refuse YAML that is expensive to load: an alias multiplies its value, and deep nesting uses the stack.

    Raises:
        yaml.YAMLError: where it has an alias, is nested too deep, or is not valid YAML.
    """
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("the card has an alias")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.YAMLError("the card is nested too deep")


def _front_matter(card: Path) -> str:
    """The text between the first two lines of dashes; raises ValueError where it is missing or too long."""
    descriptor = os.open(card, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait for a writer
    with open(descriptor, "rb") as file:  # noqa: PTH123 - it is open already
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("the card is no file")
        start = file.read(MAX_FRONT_MATTER_BYTES)
    lines = start.decode("utf-8-sig", errors="replace").splitlines()
    if not lines or lines[0].rstrip() != "---":
        raise ValueError("the card has no front matter")
    end = next(number for number, line in enumerate([*lines[1:], None], 1) if line is None or line.rstrip() == "---")
    if end == len(lines):
        raise ValueError("the front matter has no end")
    return "\n".join(lines[1:end])
