"""Pieces of HTML. All text goes through `escape`: prompts and names come from the user."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

PASSED, FAILED, UNKNOWN = "passed", "failed", "unknown"


def badge(passed: bool | None, yes: str = "passes", no: str = "fails", unknown: str = "not asked") -> str:
    """A verdict as one word, with a sign for readers who do not see its colour."""
    kind, sign, word = {
        True: (PASSED, "✓", yes),
        False: (FAILED, "✗", no),
        None: (UNKNOWN, "–", unknown),
    }[passed]
    return f'<span class="badge {kind}"><span aria-hidden="true">{sign}</span> {escape(word)}</span>'


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML; all columns except the first have numbers or short words."""
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    label = escape(caption, quote=True)
    return (
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0"><table>'
        f'<caption class="unseen">{label}</caption><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def section(name: str, title: str, body: str, note: str = "") -> str:
    """A section of the page; an empty text where `body` is empty."""
    if not body:
        return ""
    heading = f'<h2 id="{name}-title">{title}</h2>' + (f'<p class="note">{note}</p>' if note else "")
    return f'<section id="{name}" aria-labelledby="{name}-title">{heading}{body}</section>'


def decibels(value: float) -> str:
    """A PSNR as text; equal arrays have an infinite one."""
    return f"{value:.1f} dB" if math.isfinite(value) else "equal" if value > 0 else "none"


def scientific(value: float | None) -> str:
    """A small number as 1.2e-03; a dash for None, and words for a number that is not finite."""
    if value is None:
        return "–"
    return f"{value:.1e}" if math.isfinite(value) else "not finite"


def megabytes(count: int) -> str:
    """A number of bytes, in megabytes."""
    return f"{count / 1e6:,.1f} MB"
