"""Bundles of the embedded models, made once by the real command, whichever worker asks first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from turbo_webnn.runtime.webnn.node import MODULES


def run_command(*words: str | Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, as a user does."""
    command = [sys.executable, "-m", "turbo_webnn.scripts.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


def hear_signals() -> None:
    """In a new process, before its command: hear what a shell has its background jobs ignore."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def exported(folder: Path, *words: str, source: str = "tiny") -> Path:
    done = run_command("export", source, "-o", folder, *words)
    assert done.returncode == 0, done.stderr
    return folder


Export = Callable[..., Path]


@pytest.fixture(scope="session")
def export_once(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Exports like `exported`, into a folder that the workers of one run share.

    What `check` and `verify` add to a bundle is all that may change in it.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def export(name: str, *words: str, source: str = "tiny") -> Path:
        with FileLock(folder / f"{name}.lock"):
            bundle = folder / "bundles" / name
            return bundle if bundle.exists() else exported(bundle, *words, source=source)

    return export


@pytest.fixture(scope="session")
def tiny_fp16(export_once: Export) -> Path:
    """A bundle of `tiny` as the defaults make it."""
    return export_once("tiny")


@pytest.fixture(scope="session")
def tiny_xl_fp16(export_once: Export) -> Path:
    """A bundle of `tiny-xl` as the defaults make it."""
    return export_once("tiny-xl", source="tiny-xl")


WIDE = ("--precision", "fp32", "--height", "64", "--width", "192", "--batch", "2")


@pytest.fixture(scope="session")
def tiny_fp32(export_once: Export) -> Path:
    """A float32 bundle of `tiny`, two pictures of 64 by 192 at a time."""
    return export_once("tiny-wide", *WIDE)


@pytest.fixture(scope="session")
def tiny_chains(export_once: Export) -> Path:
    """`tiny_fp32` again, its UNet cut into graphs of at most 2 MB."""
    return export_once("tiny-chains", *WIDE, "--max-graph-bytes", "2MB")


@pytest.fixture(scope="session")
def tiny_posterior(export_once: Export) -> Path:
    """A float32 bundle of `tiny`, two pictures at a time, that samples the latents of pictures."""
    return export_once("tiny-posterior", "--precision", "fp32", "--batch", "2", "--sample-posterior")


@pytest.fixture(scope="session")
def tiny_q8f16(export_once: Export) -> Path:
    """`tiny` in 8 bits, products as MatMulNBits."""
    return export_once("tiny-q8f16", "--precision", "q8f16", "--quantization", "nbits")


@pytest.fixture(scope="session")
def tiny_q4f16(export_once: Export) -> Path:
    """`tiny` in 4 bits, all by DequantizeLinear."""
    return export_once("tiny-q4f16", "--precision", "q4f16")


@pytest.fixture(scope="session")
def tiny_xl_q4f16(export_once: Export) -> Path:
    """`tiny-xl` in 4 bits, products as MatMulNBits."""
    return export_once("tiny-xl-q4f16", "--precision", "q4f16", "--quantization", "nbits", source="tiny-xl")


@pytest.fixture(scope="session")
def node_modules() -> None:
    """Skips where npm's packages are absent; in CI they have to be there, and the test fails on its own."""
    if not MODULES.is_dir() and os.environ.get("CI") != "true":
        pytest.skip("node_modules is absent: run npm ci --ignore-scripts")
