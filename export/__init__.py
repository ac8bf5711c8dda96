"""From a checkpoint to a bundle: trace, passes, weights, writer, and the WebNN target."""

from export.exporter import export_bundle

__all__ = ["export_bundle"]
