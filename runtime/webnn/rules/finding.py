"""The results of rules."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple


class Effect(enum.Enum):
    """The effect of a problem when the graph runs."""

    OFF_WEBNN = "leaves WebNN"
    FAILS = "accepted, then fails to build or to run"
    WRONG = "accepted, and computes something else"
    WASTE = "costs, and changes nothing"


class Problem(NamedTuple):
    """A problem of one node that a rule reports: the reason and the remedy."""

    reason: str
    remedy: str


@dataclass(frozen=True)
class Finding:
    """One problem at one place of a graph.

    Attributes:
        node: the name of the node, the graph input or the shard.
        operator: the ONNX operator of the node; "input" or "shard" where there is no node.
        rule: the name of the rule.
        effect: the effect when the graph runs.
        reason: the cause.
        remedy: the advice.
    """

    node: str
    operator: str
    rule: str
    effect: Effect
    reason: str
    remedy: str

    @property
    def is_fault(self) -> bool:
        """Whether the problem keeps the graph from running wholly and correctly on WebNN. Waste does not."""
        return self.effect is not Effect.WASTE

    def __str__(self) -> str:
        where = f"{self.operator} {self.node}"
        return f"{where}: {self.reason} ({self.effect.value}); {self.remedy} [{self.rule}]"
