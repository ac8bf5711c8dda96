"""The choice between drawing on arrays of the host and drawing in slots on the device."""

from __future__ import annotations

from typing import Any

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.runtime.draw.bundle_drawer import BundleDrawer
from turbo_webnn.runtime.draw.device_stages import DeviceStages
from turbo_webnn.runtime.draw.stages import Stages
from turbo_webnn.runtime.ort.provider import Provider
from turbo_webnn.runtime.ort.settings import Settings

Engine = BundleDrawer[Any]
"""A drawer that runs a bundle, on any kind of tensors."""


def make_engine(bundle: Bundle, provider: Provider | Settings | None, *, keep_graphs: bool) -> Engine:
    """Make the drawer of `bundle`: on CUDA in slots on the device, where `DeviceStages` supports its graphs.

    Args:
        bundle: the bundle.
        provider: the execution provider, or all settings of onnxruntime.
        keep_graphs: whether sessions stay loaded after they ran.
    """
    settings = Settings.of(provider)
    if settings.provider == "cuda" and DeviceStages.supports(bundle):
        return DeviceStages(bundle, settings, keep_graphs=keep_graphs)
    return Stages(bundle, settings, keep_graphs=keep_graphs)
