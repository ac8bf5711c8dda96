"""Read the placement of a graph's nodes from the answers of web/placement.mjs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Refusal:
    """A node that the provider refuses, with the reason from its log. The node runs on the CPU."""

    node: str
    operator: str
    reason: str


def refusals_of(answer: dict[str, Any]) -> tuple[Refusal, ...]:
    """The refused nodes without duplicates. After inlining, the provider logs all remaining nodes again."""
    default_reason = "the provider has no WebNN operation for it"
    entries = answer.get("refusals", [])
    refusals = (Refusal(entry["node"], entry["operator"], entry["reason"] or default_reason) for entry in entries)
    return tuple(dict.fromkeys(refusals))


def reason_of(answer: dict[str, Any], refusals: Sequence[Refusal]) -> str:
    """The reason why a graph is not whole, in one line.

    A refused node has priority over an error, because the error follows from it.
    """
    if refusals:
        first = refusals[0]
        more = f", and {len(refusals) - 1} more" if len(refusals) > 1 else ""
        return f"{first.operator} {first.node}: {first.reason}{more}"
    if answer["error"]:
        return str(answer["error"]).splitlines()[0]
    elsewhere = ", ".join(f"{entry['nodes']} nodes on {entry['provider']}" for entry in answer.get("elsewhere", []))
    return elsewhere or "no node is placed"
