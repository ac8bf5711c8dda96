"""A hub on this machine, someone who uses it, and a repository there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models.hub_server import HubServer, Repository
from tests.models.hub_user import CARD, DECOYS, NAME, TEXT, UNET, VAE, User
from turbo_webnn.models.source import EMBEDDED


@pytest.fixture
def hub() -> Iterator[HubServer]:
    server = HubServer()
    yield server
    server.close()


@pytest.fixture
def user(hub: HubServer, tmp_path: Path) -> User:
    return User(hub.endpoint, tmp_path / "home")


@pytest.fixture
def files() -> dict[str, bytes]:
    """`tiny`, and beside its files those of a repository that has served every framework."""
    tiny = EMBEDDED["tiny"]
    held = {path.relative_to(tiny).as_posix(): path.read_bytes() for path in tiny.rglob("*") if path.is_file()}
    held |= {f"{stem}.fp16.safetensors": held[f"{stem}.safetensors"] for stem in (TEXT, UNET, VAE)}
    return held | dict.fromkeys(DECOYS, b"not for us") | {"README.md": CARD}


@pytest.fixture
def turbo(hub: HubServer, files: dict[str, bytes]) -> Repository:
    repository = hub.repositories[NAME] = Repository()
    repository.commit(files, "main")
    return repository
