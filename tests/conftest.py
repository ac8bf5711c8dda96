"""Bundles of the embedded models, made once by the real command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from export.webnn.node import MODULES


def turbo_webnn(*words: str | Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "scripts.cli", *map(str, words)], capture_output=True, text=True, timeout=timeout
    )


def exported(folder: Path, *words: str, source: str = "tiny") -> Path:
    done = turbo_webnn("export", source, "-o", folder, *words)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def tiny_fp16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of `tiny` as the defaults make it."""
    return exported(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def tiny_xl_fp16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of `tiny-xl` as the defaults make it."""
    return exported(tmp_path_factory.mktemp("bundles") / "tiny-xl", source="tiny-xl")


@pytest.fixture(scope="session")
def tiny_fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float32 bundle of `tiny`, two pictures of 64 by 192 at a time."""
    words = ("--precision", "fp32", "--height", "64", "--width", "192", "--batch", "2")
    return exported(tmp_path_factory.mktemp("bundles") / "tiny-wide", *words)


@pytest.fixture(scope="session")
def tiny_chains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tiny_fp32` again, its UNet cut into graphs of at most 2 MB."""
    words = ("--precision", "fp32", "--height", "64", "--width", "192", "--batch", "2", "--max-graph-bytes", "2MB")
    return exported(tmp_path_factory.mktemp("bundles") / "tiny-chains", *words)


@pytest.fixture(scope="session")
def node_modules() -> None:
    """Skips where npm's packages are absent; in CI they have to be there, and the test fails on its own."""
    if not MODULES.is_dir() and os.environ.get("CI") != "true":
        pytest.skip("node_modules is absent: run npm ci --ignore-scripts")
