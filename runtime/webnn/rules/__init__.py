"""Static rules: what keeps a graph off WebNN, found without running anything and without reading weights."""

from __future__ import annotations

from turbo_webnn.runtime.webnn.rules.finding import Complaint, Effect, Finding
from turbo_webnn.runtime.webnn.rules.table import RULES, Rule, find

__all__ = ["RULES", "Complaint", "Effect", "Finding", "Rule", "find"]
