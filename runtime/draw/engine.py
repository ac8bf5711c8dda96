"""Where a bundle draws: on arrays of the host, or in slots on the device."""

from __future__ import annotations

from typing import Any

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.runtime.draw.bundle_drawer import BundleDrawer
from turbo_webnn.runtime.draw.device_stages import DeviceStages
from turbo_webnn.runtime.draw.stages import Stages
from turbo_webnn.runtime.ort.provider import Provider
from turbo_webnn.runtime.ort.settings import Settings

Engine = BundleDrawer[Any]
"""A bundle that draws, on any kind of tensors."""


def engine_of(bundle: Bundle, provider: Provider | Settings | None, *, keep_graphs: bool) -> Engine:
    """On CUDA all stays on the device, if the graphs of `bundle` fit each other there."""
    settings = Settings.of(provider)
    if settings.provider == "cuda" and DeviceStages.serves(bundle):
        return DeviceStages(bundle, settings, keep_graphs=keep_graphs)
    return Stages(bundle, settings, keep_graphs=keep_graphs)
