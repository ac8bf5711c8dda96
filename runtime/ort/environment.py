"""The environment of a measurement, which is needed to compare its figures with others."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

_PACKAGES = ("turbo-webnn", "onnxruntime", "onnxruntime-gpu", "numpy", "torch", "diffusers", "transformers")


def environment() -> dict[str, str]:
    """Versions, operating system and processor, by name; packages that are not installed are left out."""
    return {"python": platform.python_version(), **_versions(), "system": platform.platform(), "cpu": _cpu()}


def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _cpu() -> str:
    """The name of the processor and its number of cores; on Linux `platform` does not know the name."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name}, {os.cpu_count()} cores"
