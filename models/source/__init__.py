"""The source of a bundle: a checkpoint in a folder, on the hub, or embedded in this project."""

from turbo_webnn.models.source.opening import EMBEDDED, Judge, open_part, open_source
from turbo_webnn.models.source.source import Source

__all__ = ["EMBEDDED", "Judge", "Source", "open_part", "open_source"]
