from __future__ import annotations

import os
from pathlib import Path

import pytest

from models.bundle import MANIFEST
from models.errors import RequestError
from models.staging import staged
from tests.refusal import refusal


def write(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)


def read(folder: Path) -> str:
    return (folder / MANIFEST).read_text()


def test_a_stage_appears_whole(tmp_path: Path) -> None:
    place = tmp_path / "new" / "bundle"
    with staged(place, overwrite=False) as stage:
        write(stage, "new")
        assert not place.exists()
        assert stage.parent == place.parent  # so that one rename is enough
    assert read(place) == "new"
    assert [*place.parent.iterdir()] == [place]
    assert place.stat().st_mode & 0o777 == 0o755


def test_a_stage_takes_the_place_of_an_old_bundle(tmp_path: Path) -> None:
    place = tmp_path / "bundle"
    for text in ("old", "new"):
        with staged(place, overwrite=True) as stage:
            write(stage, text)
            (stage / text).touch()
            assert text == "old" or read(place) == "old"
    assert {path.name for path in place.iterdir()} == {MANIFEST, "new"}
    assert [*tmp_path.iterdir()] == [place]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError(), RequestError("no")])
@pytest.mark.parametrize("old", [True, False])
def test_a_stage_that_fails_leaves_all_as_it_was(tmp_path: Path, error: BaseException, old: bool) -> None:
    place = tmp_path / "bundle"
    if old:
        place.mkdir()
        write(place, "old")

    def fail() -> None:
        with staged(place, overwrite=True) as stage:
            write(stage, "half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert [*tmp_path.iterdir()] == [place] * old
    assert not old or read(place) == "old"


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    def fill() -> None:
        with staged(tmp_path / "bundle", overwrite=False):
            raise OSError(28, "No space left on device")

    said = f"writing {tmp_path / 'bundle'} failed (No space left on device); free some space or give another place"
    assert refusal(fill) == said
    assert [*tmp_path.iterdir()] == []


def test_the_old_bundle_comes_back_when_the_new_one_cannot_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "bundle"
    place.mkdir()
    write(place, "old")
    rename = Path.rename

    def stumble(path: Path, target: Path) -> Path:
        if target == place and path.name != "old":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stumble)
    with pytest.raises(RequestError, match="Input/output error"), staged(place, overwrite=True) as stage:
        write(stage, "new")
    assert read(place) == "old"
    assert [*tmp_path.iterdir()] == [place]


def test_the_old_bundle_is_never_deleted_before_the_new_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "bundle"
    place.mkdir()
    write(place, "old")
    rename = Path.rename

    def stumble(path: Path, target: Path) -> Path:
        if target == place:
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stumble)
    with pytest.raises(RequestError, match="Input/output error"), staged(place, overwrite=True) as stage:
        write(stage, "new")
    (aside,) = tmp_path.iterdir()
    assert read(aside / "old") == "old"


def stage_at(place: Path, overwrite: bool) -> None:
    with staged(place, overwrite=overwrite):
        raise AssertionError("nothing may be written")


def test_a_place_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "keep").touch()
    file = tmp_path / "keep"
    assert refusal(stage_at, tmp_path, False) == f"{tmp_path} exists; give --overwrite, or another place"
    for place in (tmp_path, file):
        assert refusal(stage_at, place, True) == f"{place} exists and is not ours to replace; give another place"
    assert [*tmp_path.iterdir()] == [file]


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "bundle"
    said = refusal(stage_at, place, False)
    assert said.startswith(f"{place} cannot be written (")
    assert said.endswith("; give another place")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_parent_that_refuses(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be written (Permission denied)" in refusal(stage_at, tmp_path / "bundle", False)
    tmp_path.chmod(0o700)
