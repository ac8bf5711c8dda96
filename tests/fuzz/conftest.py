from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def good(tiny_fp16: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of `tiny` of one's own, that nothing has been added to."""
    folder = tmp_path_factory.mktemp("good") / "bundle"
    return Path(shutil.copytree(tiny_fp16, folder, ignore=shutil.ignore_patterns("report")))
