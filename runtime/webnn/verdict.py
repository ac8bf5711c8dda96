"""What onnxruntime-web says of where a graph's nodes went, as web/placement.mjs reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Refusal:
    """A node that the provider leaves to the CPU. `reason` is the provider's own."""

    node: str
    operator: str
    reason: str


def refusals_of(answer: dict[str, Any]) -> tuple[Refusal, ...]:
    """Each refused node once: inlining makes the provider look at the others again."""
    lacking = "the provider has no WebNN operation for it"
    raw = answer.get("refusals", [])
    refusals = (Refusal(each["node"], each["operator"], each["reason"] or lacking) for each in raw)
    return tuple(dict.fromkeys(refusals))


def reason_of(answer: dict[str, Any], refusals: Sequence[Refusal]) -> str:
    """Why a graph is not whole, in one line: a refused node before the error that follows from it."""
    if refusals:
        first = refusals[0]
        more = f", and {len(refusals) - 1} more" if len(refusals) > 1 else ""
        return f"{first.operator} {first.node}: {first.reason}{more}"
    if answer["error"]:
        return str(answer["error"]).splitlines()[0]
    elsewhere = ", ".join(f"{each['nodes']} nodes on {each['provider']}" for each in answer.get("elsewhere", []))
    return elsewhere or "no node is placed"
