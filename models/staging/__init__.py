"""Atomic writing of results: whole or not at all, and never in place of files of others."""

from turbo_webnn.models.staging.files import write_whole
from turbo_webnn.models.staging.folders import NamedFiles, require_apart, require_free, staged_folder
from turbo_webnn.models.staging.interruption import too_late, uninterrupted
from turbo_webnn.models.staging.locks import folder_lock
from turbo_webnn.models.staging.scratch import scratch_file, scratch_folder

__all__ = [
    "NamedFiles",
    "folder_lock",
    "require_apart",
    "require_free",
    "scratch_file",
    "scratch_folder",
    "staged_folder",
    "too_late",
    "uninterrupted",
    "write_whole",
]
