"""A file is served only from within its folder, whatever takes its place."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from turbo_webnn.runtime.serving import ServedFile

NAME = "unet/model.onnx"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle's folder, with another one beside it that has a private file of the same name."""
    for name, text in (("bundle", "public"), ("outside", "private")):
        (tmp_path / name / "unet").mkdir(parents=True)
        (tmp_path / name / NAME).write_text(text)
    return tmp_path / "bundle"


def _read(served: ServedFile) -> bytes | None:
    file = served.open()
    if file is None:
        return None
    with file:
        return file.read()


def _file_is_a_link(folder: Path) -> None:
    (folder / NAME).unlink()
    (folder / NAME).symlink_to("../../outside/unet/model.onnx")


def _link_is_absolute(folder: Path) -> None:
    (folder / NAME).unlink()
    (folder / NAME).symlink_to(folder.with_name("outside") / NAME)


def _parent_is_a_link(folder: Path) -> None:
    (folder / "unet").rename(folder / "before")
    (folder / "unet").symlink_to("../outside/unet")


def _folder_is_a_link(folder: Path) -> None:
    folder.rename(folder.with_name("before"))
    folder.symlink_to("outside")


def _link_leads_to_itself(folder: Path) -> None:
    (folder / NAME).unlink()
    (folder / NAME).symlink_to("model.onnx")


def _link_leads_nowhere(folder: Path) -> None:
    (folder / NAME).unlink()
    (folder / NAME).symlink_to("nothing")


def _pipe(folder: Path) -> None:
    (folder / NAME).unlink()
    os.mkfifo(folder / NAME)


def _device(folder: Path) -> None:
    (folder / NAME).unlink()
    (folder / NAME).symlink_to("/dev/zero")


def _directory(folder: Path) -> None:
    (folder / NAME).unlink()
    (folder / NAME).mkdir()


def _parent_is_a_file(folder: Path) -> None:
    (folder / NAME).unlink()
    (folder / "unet").rmdir()
    (folder / "unet").write_text("")


@pytest.mark.parametrize(
    "replace",
    [
        _file_is_a_link,
        _link_is_absolute,
        _parent_is_a_link,
        _folder_is_a_link,
        _link_leads_to_itself,
        _link_leads_nowhere,
        _pipe,
        _device,
        _directory,
        _parent_is_a_file,
    ],
)
def test_what_takes_its_place_is_not_served(folder: Path, replace: Callable[[Path], None]) -> None:
    served = ServedFile.of(folder, NAME)
    assert _read(served) == b"public"
    replace(folder)
    assert _read(served) is None


def test_a_link_within_the_folder_is_followed(folder: Path) -> None:
    (folder / NAME).rename(folder / "weights")
    (folder / NAME).symlink_to("../weights")
    assert _read(ServedFile.of(folder, NAME)) == b"public"


def test_the_folder_itself_may_be_reached_by_a_link(folder: Path) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    assert _read(ServedFile.of(link, NAME)) == b"public"


def test_a_link_that_appears_while_the_file_is_opened_is_not_followed(folder: Path) -> None:
    served = ServedFile.of(folder, NAME)
    unet, aside, link = folder / "unet", folder / "aside", folder / "link"
    link.symlink_to("../outside/unet")
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            unet.rename(aside)
            link.rename(unet)
            unet.rename(link)
            aside.rename(unet)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        found = {_read(served) for _ in range(1000)}
    finally:
        ended.set()
        swapping.join()
    assert found <= {b"public", None}


@pytest.mark.parametrize(
    ("name", "served", "data"),
    [
        ("page.html", "text/html", "application/octet-stream"),
        ("a/module.mjs", "text/javascript", "application/octet-stream"),
        ("icon.svg", "image/svg+xml", "application/octet-stream"),
        ("manifest.json", "application/json", "application/json"),
        ("model.onnx", "application/octet-stream", "application/octet-stream"),
    ],
)
def test_no_browser_runs_a_file_of_others_making(tmp_path: Path, name: str, served: str, data: str) -> None:
    assert ServedFile.of(tmp_path, name).media_type == served
    assert ServedFile.of_data(tmp_path, name).media_type == data
