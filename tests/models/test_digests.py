from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from turbo_webnn.models import digests


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read, in order."""
    read, paths = digests.read_sha256, []

    def counted(path: Path) -> str:
        paths.append(path)
        return read(path)

    monkeypatch.setattr(digests, "read_sha256", counted)
    return paths


def settled(path: Path, data: bytes) -> Path:
    """A file of `data` that was written long enough ago for its state to tell it."""
    path.write_bytes(data)
    time.sleep(0.11)
    return path


@pytest.mark.usefixtures("cache")
def test_a_file_is_read_once_until_it_changes(tmp_path: Path, reads: list[Path]) -> None:
    one, two = settled(tmp_path / "one", b"one"), settled(tmp_path / "two", b"two")
    right = {one: hashlib.sha256(b"one").hexdigest(), two: hashlib.sha256(b"two").hexdigest()}
    for _ in range(3):
        assert digests.sha256_of_all([one, two]) == right
    assert sorted(reads) == [one, two]
    stat = one.stat()
    settled(one, b"ONE")
    os.utime(one, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the same size and time of modification
    time.sleep(0.11)
    assert digests.sha256_of_all([one])[one] == hashlib.sha256(b"ONE").hexdigest()
    two.replace(one)
    assert digests.sha256_of_all([one])[one] == hashlib.sha256(b"two").hexdigest()


@pytest.mark.usefixtures("cache")
def test_a_file_that_was_just_written_is_read_again(tmp_path: Path, reads: list[Path]) -> None:
    path = tmp_path / "new"
    for data in (b"one", b"two", b"abc"):
        path.write_bytes(data)
        assert digests.sha256_of_all([path])[path] == hashlib.sha256(data).hexdigest()
    assert len(reads) == 3


@pytest.mark.parametrize("broken", ["a file", "no database"])
def test_without_a_memory_files_are_read(tmp_path: Path, cache: Path, reads: list[Path], broken: str) -> None:
    path = settled(tmp_path / "one", b"one")
    if broken == "a file":
        cache.write_text("where the folder should be")
    else:
        (cache / "turbo-webnn").mkdir(parents=True)
        (cache / "turbo-webnn" / "digests.sqlite").write_text("no database" * 100)
    for _ in range(2):
        assert digests.sha256_of_all([path])[path] == hashlib.sha256(b"one").hexdigest()
    assert len(reads) == 2
