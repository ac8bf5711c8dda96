from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection
from pathlib import Path

import pytest

from tests.refusal import refusal
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.staging import renaming as renaming_module
from turbo_webnn.models.staging import require_apart, staged_folder

MANIFEST = "manifest.json"


def named(folder: Path) -> Collection[str] | None:
    """The lines of the folder's manifest, and the manifest: what is ours in these tests."""
    manifest = folder / MANIFEST
    return [MANIFEST, *manifest.read_text().split()] if manifest.is_file() else None


def write(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)


def read(folder: Path) -> str:
    return (folder / MANIFEST).read_text()


@pytest.fixture(params=["system call", "best effort"])
def renames(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the system's own renames, and with what stands in for them where a file system has none."""
    if request.param == "best effort":
        monkeypatch.setattr(renaming_module, "_system_call", lambda: None)


@pytest.mark.usefixtures("renames")
class TestPlaces:
    def test_a_stage_appears_whole(self, tmp_path: Path) -> None:
        place = tmp_path / "new" / "bundle"
        with staged_folder(place, overwrite=False, named=named) as stage:
            write(stage, "new")
            assert not place.exists()
            assert stage.stat().st_dev == place.parent.stat().st_dev  # so that one rename is enough
        assert read(place) == "new"
        assert [*place.parent.iterdir()] == [place]
        assert place.stat().st_mode & 0o777 == 0o777 & ~_umask()

    def test_a_stage_takes_the_place_of_an_old_folder(self, tmp_path: Path) -> None:
        place = tmp_path / "bundle"
        for text in ("old", "new"):
            with staged_folder(place, overwrite=True, named=named) as stage:
                write(stage, text)
                (stage / text).touch()
                assert text == "old" or read(place) == "old"
        assert {path.name for path in place.iterdir()} == {MANIFEST, "new"}
        assert [*tmp_path.iterdir()] == [place]

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError(), RequestError("no")])
    @pytest.mark.parametrize("old", [True, False])
    def test_a_stage_that_fails_leaves_all_as_it_was(self, tmp_path: Path, error: BaseException, old: bool) -> None:
        place = tmp_path / "bundle"
        if old:
            place.mkdir()
            write(place, "")

        def fail() -> None:
            with staged_folder(place, overwrite=True, named=named) as stage:
                write(stage, "half")
                raise error

        with pytest.raises(type(error)):
            fail()
        assert [*tmp_path.iterdir()] == [place] * old
        assert not old or read(place) == ""

    def test_what_appears_meanwhile_is_not_replaced(self, tmp_path: Path) -> None:
        place = tmp_path / "bundle"

        def meet() -> None:
            with staged_folder(place, overwrite=False, named=named) as stage:
                write(stage, "")
                place.mkdir()

        assert refusal(meet) == f"{place} exists; give --overwrite, or another place"
        assert [*tmp_path.iterdir()] == [place]
        assert [*place.iterdir()] == []

    def test_what_appears_inside_meanwhile_is_not_deleted(self, tmp_path: Path) -> None:
        place = tmp_path / "bundle"
        place.mkdir()
        write(place, "")

        def meet() -> None:
            with staged_folder(place, overwrite=True, named=named) as stage:
                write(stage, "")
                (place / "notes.txt").write_text("mine")

        assert f"{place} holds notes.txt, which --overwrite would delete" in refusal(meet)
        assert (place / "notes.txt").read_text() == "mine"
        assert [*tmp_path.iterdir()] == [place]

    def test_a_link_stays_and_its_target_is_replaced(self, tmp_path: Path) -> None:
        link, place = tmp_path / "link", tmp_path / "disk" / "bundle"
        place.mkdir(parents=True)
        write(place, "")
        link.symlink_to(place)
        with staged_folder(link, overwrite=True, named=named) as stage:
            write(stage, "new")
        assert link.is_symlink()
        assert read(place) == "new"


@pytest.mark.skipif(sys.platform != "linux", reason="only a system call exchanges without a gap")
def test_a_reader_finds_the_old_or_the_new_and_never_nothing(tmp_path: Path) -> None:
    place = tmp_path / "bundle"
    with staged_folder(place, overwrite=False, named=named) as stage:
        write(stage, "0")
    looks, missing, ended = 0, 0, threading.Event()

    def look() -> None:
        nonlocal looks, missing
        while not ended.is_set():
            looks += 1
            missing += not (place / MANIFEST).exists()

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(100):
        with staged_folder(place, overwrite=True, named=named) as stage:
            write(stage, str(number))
    ended.set()
    reader.join()
    assert looks > 100
    assert missing == 0


def test_a_full_disk_is_told_and_the_folders_above_are_taken_back(tmp_path: Path) -> None:
    place = tmp_path / "new" / "deep" / "bundle"

    def fill() -> None:
        with staged_folder(place, overwrite=False, named=named):
            raise OSError(28, "No space left on device")

    assert refusal(fill) == f"writing {place} failed (No space left on device); free some space or give another place"
    assert [*tmp_path.iterdir()] == []


def test_a_failed_exchange_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "bundle"
    place.mkdir()
    write(place, "")
    monkeypatch.setattr(renaming_module, "_system_call", lambda: None)
    rename = Path.rename

    def stumble(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stumble)

    def fail() -> None:
        with staged_folder(place, overwrite=True, named=named) as stage:
            write(stage, "new")

    assert "Input/output error" in refusal(fail)
    assert read(place) == ""
    assert [*tmp_path.iterdir()] == [place]


def stage_at(place: Path, overwrite: bool) -> None:
    with staged_folder(place, overwrite=overwrite, named=named):
        raise AssertionError("nothing may be written")


def test_a_place_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "keep").touch()
    file = tmp_path / "keep"
    assert refusal(stage_at, tmp_path, False) == f"{tmp_path} exists; give --overwrite, or another place"
    for place in (tmp_path, file):
        assert refusal(stage_at, place, True) == f"{place} exists and is not ours to replace; give another place"
    assert [*tmp_path.iterdir()] == [file]


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        (["notes.txt"], "notes.txt"),
        (["unet/notes.txt"], "unet/notes.txt"),
        (["src/app.js"], "src/"),
        ([".git/config"], ".git/"),
        (["unet/reports/mine"], "unet/reports/"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
    ],
)
def test_foreign_files_are_named_and_kept(tmp_path: Path, foreign: list[str], shown: str) -> None:
    place = tmp_path / "bundle"
    files = [MANIFEST, "unet/model.onnx", "report/index.html", "report/deep/more.json", *foreign]
    for name in files:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    write(place, "unet/model.onnx")
    wrong = f"{place} holds {shown}, which --overwrite would delete; move that away, or give another place"
    assert refusal(stage_at, place, True) == wrong
    assert all((place / name).exists() for name in files)


def test_a_folder_in_the_place_of_a_named_file_is_foreign(tmp_path: Path) -> None:
    place = tmp_path / "bundle"
    (place / "model.onnx").mkdir(parents=True)
    (place / "model.onnx" / "mine").touch()
    write(place, "model.onnx")
    assert f"{place} holds model.onnx/, which" in refusal(stage_at, place, True)


def test_the_working_folder_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "bundle"
    (place / "unet").mkdir(parents=True)
    (place / "unet" / "model.onnx").touch()
    write(place, "unet/model.onnx")
    for folder in (place, place / "unet"):
        monkeypatch.chdir(folder)
        assert refusal(stage_at, place, True) == f"{place} is or holds the working folder; run from another folder"


@pytest.mark.parametrize(
    ("output", "relation"),
    [("source", "is"), ("source/out", "lies in"), ("source/unet/deep/out", "lies in"), (".", "contains")],
)
def test_output_and_source_are_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, relation: str
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(source)
    for named_source in (source, Path("source"), tmp_path / "link", tmp_path / "other" / ".." / "source"):
        said = refusal(require_apart, Path(output), [named_source])
        assert said == f"the output {output} {relation} the source {named_source}; give another place"
    require_apart(Path("beside"), [source])
    require_apart(Path("source-2"), [source])


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "bundle"
    said = refusal(stage_at, place, False)
    assert said.startswith(f"{place} cannot be written (")
    assert said.endswith("; give another place")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for odd in (tmp_path / "circle" / "bundle", Path("a\0b")):
        assert "give another place" in refusal(stage_at, odd, False)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_parent_that_refuses(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot be written (Permission denied)" in refusal(stage_at, tmp_path / "bundle", False)
    tmp_path.chmod(0o700)


WRITER = """
import sys, time
from pathlib import Path
from turbo_webnn.models.staging import staged_folder
named = lambda folder: ["manifest.json"] if (folder / "manifest.json").is_file() else None
with staged_folder(Path(sys.argv[1]), overwrite=True, named=named) as stage:
    (stage / "manifest.json").write_text("new")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_run_left_is_swept_and_a_living_run_is_not(tmp_path: Path) -> None:
    place = tmp_path / "bundle"
    runs = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(place)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
    assert len([*tmp_path.iterdir()]) == 2
    killed, living = runs
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (tmp_path / ".bundle-notes").write_text("mine")
    with staged_folder(place, overwrite=False, named=named) as stage:
        write(stage, "")
    left = {path.name for path in tmp_path.iterdir()} - {"bundle", ".bundle-notes"}
    assert len(left) == 1  # that of the living run
    living.kill()
    living.wait()
    with staged_folder(place, overwrite=True, named=named) as stage:
        write(stage, "")
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", ".bundle-notes"}


INTERRUPTED = """
import os, signal, sys, time
from pathlib import Path
from turbo_webnn.models.staging import folders, staged_folder, too_late
number = getattr(signal, sys.argv[2])
def handler(received, frame):
    print("too late" if too_late() else "in time", flush=True)
    if not too_late():
        raise KeyboardInterrupt
signal.signal(number, handler)
real = getattr(folders, sys.argv[3])
def interrupted(*words):
    if sys.argv[4] == "before":
        os.kill(os.getpid(), number)
        time.sleep(0.01)
    result = real(*words)
    os.kill(os.getpid(), number)
    time.sleep(0.01)
    return result
setattr(folders, sys.argv[3], interrupted)
named = lambda folder: ["manifest.json"]
with staged_folder(Path(sys.argv[1]), overwrite=True, named=named) as stage:
    (stage / "manifest.json").write_text("new")
print("done", flush=True)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(
    ("call", "moment", "word"),
    [
        ("_flush", "before", "in time"),
        ("_flush", "after", "in time"),
        ("exchange", "before", "too late"),
        ("exchange", "after", "too late"),
        ("remove", "after", "too late"),
    ],
)
def test_a_signal_comes_before_the_deed_or_after_it(
    tmp_path: Path, name: str, call: str, moment: str, word: str
) -> None:
    place = tmp_path / "bundle"
    place.mkdir()
    write(place, "old")
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(place), name, call, moment], capture_output=True, text=True, timeout=60
    )
    if word == "in time":
        assert done.stdout == "in time\n", done.stderr
        assert read(place) == "old"
    else:
        assert done.stdout == "too late\ndone\n", done.stderr
        assert read(place) == "new"
    assert [*tmp_path.iterdir()] == [place]


def test_a_thread_writes_too(tmp_path: Path) -> None:
    def run() -> None:
        with staged_folder(tmp_path / "bundle", overwrite=False, named=named) as stage:
            write(stage, "new")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert read(tmp_path / "bundle") == "new"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
