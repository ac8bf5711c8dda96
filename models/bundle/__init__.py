"""The bundle: static graphs in a folder, and the manifest with everything else that a consumer needs."""

from turbo_webnn.models.bundle.bundle import Bundle, describe
from turbo_webnn.models.bundle.destination import named_files, require_bundle_place, staged
from turbo_webnn.models.bundle.manifest import (
    FORMAT,
    MANIFEST,
    Manifest,
    Tokenizer,
    read_manifest,
    update_manifest,
    write_manifest,
)

__all__ = [
    "FORMAT",
    "MANIFEST",
    "Bundle",
    "Manifest",
    "Tokenizer",
    "describe",
    "named_files",
    "read_manifest",
    "require_bundle_place",
    "staged",
    "update_manifest",
    "write_manifest",
]
