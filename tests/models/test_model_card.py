"""The licence of a model card, and cards that are made to cost something."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import pytest

from turbo_webnn.models.model_card import MAX_FRONT_MATTER_BYTES, license_of
from turbo_webnn.models.printable import printable


def card(front: str) -> bytes:
    return f"---\n{front}\n---\n# Turbo\n".encode()


def aliases(levels: int) -> str:
    names = [f"a{level}" for level in range(levels)]
    lines = [f"{names[0]}: &{names[0]} [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]" for before, name in pairwise(names)]
    return "\n".join([*lines, f"license: *{names[-1]}"])


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        (card("license: other\nlicense_name: community"), "community"),
        (card("license: apache-2.0"), "apache-2.0"),
        (card("license: [mit, apache-2.0]"), "mit, apache-2.0"),
        (b"\xef\xbb\xbf" + card("license: mit").replace(b"\n", b"\r\n"), "mit"),
        (card('license: "a\\nb\\e[2Jc"'), "a b [2Jc"),
        (card(f"license: {'long ' * 1000}"), printable("long " * 1000)),
        (card("license_name: 7\nlicense: mit"), "mit"),
        (card("license: 2.0"), None),
        (card("license: {name: mit}"), None),
        (card("license: [mit, 2]"), None),
        (card("license: []"), None),
        (card("tags: [a]"), None),
        (card("license: [broken"), None),
        (card("- a list"), None),
        (card("license: &a mit\nlicense_name: *a"), None),
        (card(aliases(9)), None),
        (card(f"license: {'[' * 20_000}{']' * 20_000}"), None),
        (card("license: !!python/object/apply:os.getcwd []"), None),
        (card(f"size: {'9' * 10_000}\nlicense: mit"), None),
        (card(f"tags: {'x' * MAX_FRONT_MATTER_BYTES}\nlicense: mit"), None),
        (b"---\nlicense: mit\n", None),
        (b"# no metadata\n", None),
        (b"", None),
        (b"---\nlicense: \xff\xfe\n---\n", "\ufffd\ufffd"),
        (b"\xff\xfe-\x00-\x00-\x00", None),
    ],
)
def test_the_licence_that_is_stated(tmp_path: Path, contents: bytes, expected: str | None) -> None:
    (tmp_path / "README.md").write_bytes(contents)
    began = time.process_time()
    assert license_of(tmp_path) == expected
    assert time.process_time() - began < 2


def test_a_card_that_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    assert license_of(tmp_path) is None
    path.mkdir()
    assert license_of(tmp_path) is None
    path.rmdir()
    os.mkfifo(path)
    assert license_of(tmp_path) is None
    path.unlink()
    path.symlink_to("README.md")
    assert license_of(tmp_path) is None


def test_a_card_of_any_length_is_read_at_its_start_only(tmp_path: Path) -> None:
    with (tmp_path / "README.md").open("wb") as file:
        file.write(card("license: mit"))
        file.truncate(1 << 40)
    assert license_of(tmp_path) == "mit"
