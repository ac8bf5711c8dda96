"""The source of a bundle: a checkpoint in a folder, on the hub, or embedded in this project."""

from turbo_webnn.models.source.locating import EMBEDDED
from turbo_webnn.models.source.opening import Judge, open_source, replace_parts
from turbo_webnn.models.source.source import Source

__all__ = ["EMBEDDED", "Judge", "Source", "open_source", "replace_parts"]
