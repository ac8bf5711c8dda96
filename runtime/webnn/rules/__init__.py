"""Static rules: find what keeps a graph off WebNN, without running it and without reading weights."""

from __future__ import annotations

from turbo_webnn.runtime.webnn.rules.finding import Effect, Finding, Problem
from turbo_webnn.runtime.webnn.rules.table import RULES, Rule, find

__all__ = ["RULES", "Effect", "Finding", "Problem", "Rule", "find"]
