"""Types of the callbacks that receive the progress of long work."""

from __future__ import annotations

from collections.abc import Callable

ReportFraction = Callable[[str, str, float], None]
"""Receives the name of a component, the current activity ("tracing") and the completed fraction of it, 0 to 1."""

ReportRuns = Callable[[str, int, int], None]
"""Receives the name of a component or task, the number of its completed runs and their total."""

ReportStep = Callable[[str, float], None]
"""Receives the current step of the work and the completed fraction of it, 0 to 1."""

ReportShare = Callable[[float], None]
"""Receives the completed fraction of the work, 0 to 1."""
