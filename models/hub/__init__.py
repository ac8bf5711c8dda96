"""Downloads from the Hugging Face hub; huggingface_hub makes the requests and manages the cache.

`HF_ENDPOINT`, `HF_HOME`, `HF_HUB_OFFLINE`, `HF_TOKEN`, `HF_HUB_DOWNLOAD_TIMEOUT` and a stored login have their usual
meaning.
"""

from __future__ import annotations

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from turbo_webnn.models.hub.snapshot import Hub, Snapshot, require_space

__all__ = ["Hub", "Snapshot", "is_repo_id", "require_space"]


def is_repo_id(source: str) -> bool:
    """Whether `source` has the form OWNER/NAME of a hub id."""
    try:
        validate_repo_id(source)
    except HFValidationError:
        return False
    return "/" in source
