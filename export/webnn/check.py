"""Does this graph run wholly on WebNN?"""

from __future__ import annotations

from pathlib import Path

from export.webnn.graph import read_graph
from export.webnn.rules import Finding, find
from export.webnn.target import Target


def check_static(path: Path, target: Target) -> list[Finding]:
    """What static rules find in the graph at `path` for `target`; empty where all is well.

    Weights stay on disk. Raises RequestError for a file that is missing, is not ONNX, lacks a shard, or asks
    for an operator set that the provider does not know.
    """
    return list(find(read_graph(path), target))
