"""What the lock files promise: every package by one release and its hashes, from no named address."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from turbo_webnn.scripts.lock import EXTRAS, OPTIMUM, REQUIREMENTS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NPM: dict[str, dict[str, Any]] = json.loads((ROOT / "package-lock.json").read_text())["packages"]

LOCKS = [REQUIREMENTS, OPTIMUM]
PIN = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>[\w.]+)(?: ; (?P<marker>[^\\]+))?")
ADDRESS = re.compile(r"://|\bwww\.|--(index|extra-index|find-links|trusted-host)|\bfile:|@ ")


def normal(requirement: str) -> str:
    """The name of the package that `requirement` asks for, as locks write it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]).lower()


def entries(lock: str) -> dict[str, list[str]]:
    """The hashes by package of the lock file."""
    text = "\n".join(line for line in (ROOT / lock).read_text().splitlines() if not line.startswith("#"))
    found: dict[str, list[str]] = {}
    for entry in text.replace("\\\n", "").splitlines():
        pin, *hashes = entry.split("--hash=")
        match = PIN.fullmatch(pin.strip())
        assert match is not None, pin
        assert match["name"] not in found
        found[match["name"]] = [digest.strip() for digest in hashes]
    return found


def wanted(lock: str) -> set[str]:
    """The packages that pyproject.toml asks for by itself."""
    if lock == OPTIMUM:
        return {normal(requirement) for requirement in PROJECT["dependency-groups"]["optimum"]}
    extras = PROJECT["project"]["optional-dependencies"]
    requirements = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    requirements += [requirement for extra in EXTRAS for requirement in extras[extra]]
    return {normal(requirement) for requirement in requirements} - {"torch"}


@pytest.mark.parametrize("lock", LOCKS)
def test_each_package_has_the_hashes_of_a_release(lock: str) -> None:
    for name, hashes in entries(lock).items():
        assert hashes, name
        assert len(set(hashes)) == len(hashes), name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes), name


@pytest.mark.parametrize("lock", LOCKS)
def test_all_that_the_project_asks_for_is_locked(lock: str) -> None:
    assert wanted(lock) <= entries(lock).keys()


@pytest.mark.parametrize("name", [*LOCKS, "scripts/torch.txt", "package-lock.json"])
def test_no_address_is_named(name: str) -> None:
    text = (ROOT / name).read_text()
    found = [line for line in text.splitlines() if ADDRESS.search(line)]
    assert not found


def test_extras_that_are_not_locked_are_known() -> None:
    assert set(PROJECT["project"]["optional-dependencies"]) - set(EXTRAS) == {"cuda"}


def test_torch_is_resolved_for_the_version_that_is_installed() -> None:
    (pin,) = [line for line in (ROOT / "scripts/torch.txt").read_text().splitlines() if not line.startswith("#")]
    (metadata,) = PROJECT["tool"]["uv"]["dependency-metadata"]
    assert pin == f"{metadata['name']}=={metadata['version']}"
    assert {normal(requirement) for requirement in metadata["requires-dist"]} <= entries(REQUIREMENTS).keys()


def test_npm_packages_have_hashes() -> None:
    installed = {path: entry for path, entry in NPM.items() if "node_modules/" in path and not entry.get("link")}
    assert installed
    assert [path for path, entry in installed.items() if not entry.get("integrity")] == []
