"""Which hosts are answered, which bytes are asked for, and what the policy lets run."""

from __future__ import annotations

import base64
import hashlib
import os
from email.utils import formatdate
from pathlib import Path

import pytest

from turbo_webnn.runtime.serving.policy import Hosts, content_policy
from turbo_webnn.runtime.serving.ranges import Validators, range_of

MANY = "9" * 5000


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-", range(10)),
        ("bytes=2-4", range(2, 5)),
        ("BYTES = 2-4", range(2, 5)),
        ("bytes=9-9", range(9, 10)),
        ("bytes=2-400", range(2, 10)),
        (f"bytes=2-{MANY}", range(2, 10)),
        (f"bytes={'0' * 5000}2-4", range(2, 5)),
        ("bytes=-3", range(7, 10)),
        (f"bytes=-{MANY}", range(10)),
        # several ranges may be answered with the whole
        ("bytes=0-1,4-5", None),
        ("bytes=0-1, 40-50", None),
        ("bytes=0-1,,4-5", None),
        # another unit is to be ignored
        ("lines=1-2", None),
        ("bits=0-", None),
    ],
)
def test_a_range_that_is_there(header: str | None, expected: range | None) -> None:
    assert range_of(header, 10) == expected


@pytest.mark.parametrize(
    "header",
    [
        "bytes=10-",
        "bytes=10-20",
        f"bytes={MANY}-",
        f"bytes={MANY}-{MANY}",
        "bytes=5-2",
        f"bytes={MANY}-2",
        "bytes=-0",
        "bytes=",
        "bytes=-",
        "bytes=--",
        "bytes=1",
        "bytes=a-b",
        "bytes=1-b",
        "bytes=-1-2",
        "bytes=+1-2",
        "bytes=1.0-2",
        "bytes=0x1-2",
        "bytes=1 -2",
        "bytes=٣-٤",
        "bytes=,,",
        "bytes=0-1,x",
        "bytes=50-60,70-80",
        "bytes",
        "garbage",
        "",
        "=",
    ],
)
def test_a_range_that_is_nonsense_or_outside(header: str) -> None:
    assert range_of(header, 10) == range(0)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-5", "bytes=0-0"])
def test_an_empty_file_has_no_range(header: str) -> None:
    assert range_of(header, 0) == range(0)


LOOPBACK = [
    "127.0.0.1",
    "127.0.0.1:8017",
    "127.9.8.7",
    "localhost",
    "LocalHost:80",
    "localhost:",
    "[::1]",
    "[::1]:8017",
]
FOREIGN = [
    None,
    "",
    "evil.example",
    "evil.example:8017",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1@evil.example",
    "evil.example/127.0.0.1",
    "127.0.0.1 evil.example",
    "localhost:8017:80",
    "localhost:port",
    "[::1",
    "::1",
    "[localhost",
    "2130706433",
    "127.1",
    "0x7f.0.0.1",
    "ｌocalhost",
    f"127.0.0.1:{MANY}",
]
OTHER_ADDRESSES = ["192.0.2.7", "192.0.2.7:8017", "[2001:db8::7]", "0.0.0.0"]


@pytest.mark.parametrize(
    ("host", "address", "named", "any_address"),
    [
        ("127.0.0.1", "127.0.0.1", [], False),
        ("localhost", "127.0.0.1", [], False),
        ("::1", "::1", [], False),
        ("192.0.2.9", "192.0.2.9", ["192.0.2.9", "192.0.2.9:8017"], False),
        ("MyBox", "192.0.2.9", ["mybox", "MYBOX:8017", "192.0.2.9"], False),
        ("2001:db8::9", "2001:db8::9", ["[2001:db8::9]:8017"], False),
        ("0.0.0.0", "0.0.0.0", [], True),
        ("::", "::", [], True),
    ],
)
def test_loopback_hosts_are_answered_and_the_one_that_was_named(
    host: str, address: str, named: list[str], *, any_address: bool
) -> None:
    hosts = Hosts.of(host, address)
    for header in [*LOOPBACK, *named]:
        assert hosts.allow(header), header
    for foreign in FOREIGN:
        assert not hosts.allow(foreign), foreign
    for header in OTHER_ADDRESSES:
        assert hosts.allow(header) == any_address, header


def test_inline_scripts_run_by_their_hash_alone() -> None:
    script = '\n  {"imports": {}}\n'
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = f'<script type="importmap">{script}</script><script type="module" src="/page.mjs"></script>'
    sources = content_policy([page]).split("; ")[1].split(" ")
    assert sources == ["script-src", "'self'", "'wasm-unsafe-eval'", f"'sha256-{digest}'"]
    assert content_policy([page.replace("\n", "\r\n")]) == content_policy([page])  # a checkout on Windows
    assert "'unsafe-eval'" in content_policy([page], evaluate=True)
    assert "unsafe-inline" not in content_policy([page], evaluate=True)


def test_conditions_name_the_state_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    os.utime(path, (1_000_000, 1_000_000))
    before = Validators.of(path.stat())
    etag, date = before.etag, formatdate(1_000_000, usegmt=True)
    known: list[tuple[dict[str, str], bool]] = [
        ({}, False),
        ({"if-none-match": etag}, True),
        ({"if-none-match": f'"other", W/{etag}'}, True),
        ({"if-none-match": "*"}, True),
        ({"if-none-match": '"other"'}, False),
        ({"if-none-match": ""}, False),
        ({"if-none-match": '"other"', "if-modified-since": date}, False),  # the ETag decides
        ({"if-modified-since": date}, True),
        ({"if-modified-since": formatdate(1_000_001, usegmt=True)}, True),
        ({"if-modified-since": formatdate(999_999, usegmt=True)}, False),
        *(
            ({"if-modified-since": text}, False)
            for text in ("", "yesterday", "9" * 5000, "Mon, 99 Jan 9999 99:99:99 GMT")
        ),
    ]
    for headers, expected in known:
        assert before.is_known(headers) == expected, headers
    assert before.allow_range({})
    assert before.allow_range({"if-range": etag})
    for text in ('"stale"', f"W/{etag}", "", date):  # two states can share a second
        assert not before.allow_range({"if-range": text})
    path.write_bytes(b"two")
    os.utime(path, (1_000_000, 1_000_000))  # a copy that keeps the time
    assert Validators.of(path.stat()).etag != etag
