"""Turbo diffusion checkpoints as static ONNX graphs that run wholly on WebNN.

Example:
    >>> from turbo_webnn import Pipeline, export_bundle
    >>> export_bundle("stabilityai/sd-turbo", "bundle")
    >>> Pipeline.open("bundle").draw("a lighthouse at dusk", steps=4, seed=7).save("lighthouse.png")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from turbo_webnn.export.exporter import export_bundle as export_bundle
    from turbo_webnn.models.bundle import Bundle as Bundle
    from turbo_webnn.models.errors import RequestError as RequestError
    from turbo_webnn.models.source import open_source as open_source
    from turbo_webnn.runtime.draw.pipeline import Pipeline as Pipeline
    from turbo_webnn.runtime.verification.verify import verify as verify

_HOMES = {
    "Bundle": "turbo_webnn.models.bundle",
    "Pipeline": "turbo_webnn.runtime.draw.pipeline",
    "RequestError": "turbo_webnn.models.errors",
    "export_bundle": "turbo_webnn.export.exporter",
    "open_source": "turbo_webnn.models.source",
    "verify": "turbo_webnn.runtime.verification.verify",
}
"""The module that each public name is imported from at its first use: the runner then loads neither torch nor onnx."""

__all__ = ["Bundle", "Pipeline", "RequestError", "export_bundle", "open_source", "verify"]


def __getattr__(name: str) -> object:
    """Import a public name at its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
