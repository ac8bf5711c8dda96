"""Does this graph run wholly on WebNN? By rules, by the real provider, in a real browser."""

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
    """What static rules find in the graph at `path` for `target`; empty where all is well.

    Weights stay on disk. Raises RequestError for a file that is missing, is not ONNX, lacks a shard, or asks
    for an operator set that the provider does not know.
    """
    return list(find(read_graph(path), target))


def check_browser(path: Path, inputs: Mapping[str, NDArray[Any]], *, limit_s: float = 180.0) -> BrowserVerdict:
    """What a real Chromium does with the graph at `path`: built wholly on WebNN, run once on `inputs`.

    inputs: arrays by input name. A browser that errs, dies or takes longer than `limit_s` seconds is a
    verdict with its reason. Several graphs share one browser through `Chromium`.

    Raises RequestError where Node, an npm package or room for the browser is missing, for inputs that are not
    the graph's, and as `check_static` does.
    """
    with Chromium() as chromium:
        return chromium.run(path, inputs, limit_s=limit_s)
