"""`python -m turbo_webnn.scripts.lock`: writes the lock files from `pyproject.toml` and a package index.

A lock file names one release of every package for all supported systems and Python versions, and the sha256 of every
file of that release, so that pip installs nothing else from any index. Pins stay unchanged where `pyproject.toml`
still permits them; `--upgrade` uses the newest releases.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Sequence
from pathlib import Path

import click

UV = "uv==0.13.9"
"""The resolver of the pins; it is installed in a temporary venv."""

ROOT = Path(__file__).parents[1]
PROJECT = "pyproject.toml"

REQUIREMENTS = "scripts/requirements.lock.txt"
"""The lock file of `.venv`: the dependencies, the extras `export`, `cpu` and `dev`, and the build system.

The extra `cuda` is excluded: its onnxruntime overwrites that of `cpu`."""

OPTIMUM = "scripts/optimum.lock.txt"
"""The lock file of `.venv-optimum`."""

EXTRAS = ("export", "cpu", "dev")

_HEADER = {
    REQUIREMENTS: """\
# Written by: python -m turbo_webnn.scripts.lock
# What scripts/demo and scripts/test install with pip --require-hashes. A release has one hash for each of its files,
# so that any served system and Python finds its own among them.
# torch is not in here, but what it needs is: see torch.txt.
""",
    OPTIMUM: """\
# Written by: python -m turbo_webnn.scripts.lock
# What scripts/test installs into .venv-optimum, with pip --require-hashes.
""",
}

_OPTIONS = (
    *("pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--fork-strategy", "fewest"),
    *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
    *("--constraint", "scripts/torch.txt", "--no-emit-package", "torch"),
)


@click.command()
@click.option("--upgrade", is_flag=True, help="Take the newest releases that pyproject.toml permits.")
def lock(*, upgrade: bool) -> None:
    """Write the lock files anew."""
    build = tomllib.loads((ROOT / PROJECT).read_text())["build-system"]["requires"]
    with tempfile.TemporaryDirectory() as folder:
        uv = _install_uv(Path(folder))
        build_file = Path(folder, "build.in")
        build_file.write_text("\n".join(build))
        extras = [word for extra in EXTRAS for word in ("--extra", extra)]
        freshness = ["--upgrade"] if upgrade else []
        _compile(uv, REQUIREMENTS, [PROJECT, str(build_file), *extras, *freshness])
        _compile(uv, OPTIMUM, ["--group", "optimum", "--no-deps", *freshness])


def _install_uv(folder: Path) -> str:
    """Install uv into a venv in `folder`; return its path."""
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([programs / "python", "-m", "pip", "install", "-qq", "--disable-pip-version-check", UV], check=True)
    return str(shutil.which("uv", path=str(programs)))


def _compile(uv: str, output: str, words: Sequence[str]) -> None:
    """Write the lock file `output`; keep its existing pins where possible."""
    path = ROOT / output
    completed = subprocess.run([uv, *_OPTIONS, *words, "--output-file", output], cwd=ROOT, check=False)
    if completed.returncode:
        sys.exit(completed.returncode)
    path.write_text(_HEADER[output] + path.read_text())


if __name__ == "__main__":
    lock()
