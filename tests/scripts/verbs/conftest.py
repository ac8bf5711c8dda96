"""What several verbs are tried on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from turbo_webnn.models.source import EMBEDDED

TINY = EMBEDDED["tiny"]


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A copy of `tiny`, to be damaged."""
    return Path(shutil.copytree(TINY, tmp_path / "checkpoint"))
