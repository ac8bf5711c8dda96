"""The bundle: static graphs in a folder, and the manifest that says all a consumer needs to know."""

from models.bundle.bundle import Bundle, describe
from models.bundle.manifest import FORMAT, MANIFEST, Manifest, Tokenizer, write_manifest

__all__ = ["FORMAT", "MANIFEST", "Bundle", "Manifest", "Tokenizer", "describe", "write_manifest"]
