"""Check whether a graph runs wholly on WebNN: with static rules, with the real provider, in a real browser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from turbo_webnn.runtime.webnn.chromium import BrowserVerdict, Chromium
from turbo_webnn.runtime.webnn.graph import read_graph
from turbo_webnn.runtime.webnn.provider import PlacementVerdict, check_provider
from turbo_webnn.runtime.webnn.rules import Effect, Finding, find
from turbo_webnn.runtime.webnn.target import Target, load_target, verdict_targets

__all__ = [
    "BrowserVerdict",
    "Chromium",
    "Effect",
    "Finding",
    "PlacementVerdict",
    "Target",
    "check_browser",
    "check_provider",
    "check_static",
    "load_target",
    "verdict_targets",
]


def check_static(path: Path, target: Target) -> list[Finding]:
    """Apply the static rules for `target` to the graph at `path`, without reading its weights.

    Returns:
        The findings; empty where the graph has no problem.

    Raises:
        RequestError: where the file or a shard is missing, the file is not ONNX, or it has an operator set that the
            provider does not know.
    """
    return list(find(read_graph(path), target))


def check_browser(path: Path, inputs: Mapping[str, NDArray[Any]], *, limit_s: float = 180.0) -> BrowserVerdict:
    """Build the graph at `path` in a real Chromium wholly on WebNN, and run it once on `inputs`.

    Use `Chromium` to check several graphs in one browser.

    Args:
        path: the path of the graph.
        inputs: arrays by input name.
        limit_s: the time limit in seconds. A browser that fails, exits or takes longer gives a verdict with that
            reason.

    Raises:
        RequestError: where Node, an npm package or disk space for the browser is missing, the inputs do not match the
            graph, and as for `check_static`.
    """
    with Chromium() as chromium:
        return chromium.run(path, inputs, limit_s=limit_s)
