"""What a rule says of a graph."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple


class Effect(enum.Enum):
    """What a finding means for whoever runs the graph."""

    OFF_WEBNN = "leaves WebNN"
    FAILS = "accepted, then fails to build or to run"
    WRONG = "accepted, and computes something else"
    WASTE = "costs, and changes nothing"


class Complaint(NamedTuple):
    """A rule's words on one node: why, and what would mend it."""

    reason: str
    remedy: str


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong in one place.

    node: the node's name; for a graph input or a shard, its name.
    operator: the node's ONNX operator; "input" or "shard" where there is no node.
    """

    node: str
    operator: str
    rule: str
    effect: Effect
    reason: str
    remedy: str

    @property
    def is_fault(self) -> bool:
        """Whether the graph does not run wholly, rightly on WebNN for it; waste alone is no fault."""
        return self.effect is not Effect.WASTE

    def __str__(self) -> str:
        where = f"{self.operator} {self.node}"
        return f"{where}: {self.reason} ({self.effect.value}); {self.remedy} [{self.rule}]"
