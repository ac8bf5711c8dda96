"""What is fetched, what is kept, and that nothing wrong ever is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.bundle import Bundle
from models.chain import BundleFile
from tests.browser.conftest import Browser, Serve, Served, routes_for_tests

REQUEST = {"prompt": "a cat", "steps": 1}


@pytest.fixture(scope="module")
def tiny(serve: Serve, tiny_fp16: Path) -> Served:
    return serve(tiny_fp16)


@pytest.fixture
def fresh(browser: Browser, tiny: Served) -> Served:
    """A first visit; the bundle is as it was exported."""
    tiny.server.routes = routes_for_tests(tiny.bundle)
    _visit(browser, tiny, fresh=True)
    return tiny


def _visit(browser: Browser, served: Served, *, fresh: bool = False) -> None:
    browser.do("open", url=served.blank, fresh=fresh)
    assert browser.call("open", {"device": "webnn-cpu"})["device"] == "webnn-cpu"
    served.asked.clear()


def _prepared(browser: Browser) -> Any:
    return browser.call("prepare")


def _needed(bundle: Bundle) -> list[BundleFile]:
    return [file for file in bundle.files() if not file.path.startswith("vae_encoder")]


def test_a_second_visit_fetches_nothing(browser: Browser, fresh: Served) -> None:
    needed = _needed(fresh.bundle)
    assert "error" not in browser.call("draw", REQUEST)
    assert fresh.fetched == {file.path: "" for file in needed}
    assert browser.call("kept") == {file.sha256: file.bytes for file in needed}
    _visit(browser, fresh)
    drawn = browser.call("draw", REQUEST)
    assert fresh.fetched == {}
    heard = [event for event in drawn["events"] if event["kind"] == "download"]
    assert [event["file"] for event in heard if event["cached"]] == [event["file"] for event in heard]


def test_only_what_has_changed_is_fetched_anew(browser: Browser, fresh: Served, tiny_chains: Path) -> None:
    assert _prepared(browser) == {}
    before = {file.sha256 for file in _needed(fresh.bundle)}
    other = Bundle.open(tiny_chains)
    fresh.server.routes = routes_for_tests(other)
    _visit(browser, fresh)
    assert _prepared(browser) == {}
    assert fresh.fetched == {file.path: "" for file in _needed(other) if file.sha256 not in before}
    assert 0 < len(fresh.fetched) < len(_needed(other))  # the tokenizer is the same


@pytest.mark.parametrize(
    ("harm", "code", "said"),
    [
        ("truncated", "integrity", "unet/model.onnx.data has 1000 bytes, the manifest says"),
        ("longer", "integrity", "unet/model.onnx.data has"),
        ("altered", "integrity", "unet/model.onnx.data does not match its sha256 in the manifest"),
        ("missing", "network", "unet/model.onnx.data is missing"),
    ],
)
def test_what_is_wrong_is_told_by_name_and_not_kept(
    browser: Browser, fresh: Served, tmp_path: Path, harm: str, code: str, said: str
) -> None:
    url = "/bundle/unet/model.onnx.data"
    harmed = tmp_path / "harmed"
    whole = fresh.server.routes[url].read_bytes()
    if harm != "missing":
        harmed.write_bytes(
            {"truncated": whole[:1000], "longer": whole + b"!", "altered": bytes([whole[0] ^ 1]) + whole[1:]}[harm]
        )
    fresh.server.routes = {**fresh.server.routes, url: harmed}
    error = _prepared(browser)["error"]
    assert (error["code"], error["file"]) == (code, "unet/model.onnx.data")
    assert said in error["message"]
    right = {file.sha256: file.bytes for file in _needed(fresh.bundle)}
    held = browser.call("kept")
    assert held.items() <= right.items()
    assert len(held) < len(right)
    fresh.server.routes = routes_for_tests(fresh.bundle)  # the server is mended
    fresh.asked.clear()
    assert _prepared(browser) == {}
    assert browser.call("kept") == right
    assert fresh.fetched.keys() == {file.path for file in _needed(fresh.bundle) if file.sha256 not in held}


@pytest.mark.parametrize("garbage", [False, True])
def test_what_was_broken_off_is_taken_up_again(browser: Browser, fresh: Served, *, garbage: bool) -> None:
    file = next(file for file in _needed(fresh.bundle) if file.path == "unet/model.onnx.data")
    part = {"path": file.path, "name": f"{file.sha256}.part", "bytes": 5000, "garbage": garbage}
    browser.call("plant", part)
    fresh.asked.clear()
    assert _prepared(browser) == {}
    spans = [span for path, span in fresh.asked if path == f"/bundle/{file.path}"]
    assert spans == (["bytes=5000-", ""] if garbage else ["bytes=5000-"])
    assert browser.call("kept") == {file.sha256: file.bytes for file in _needed(fresh.bundle)}


def test_no_room_is_told_by_name_and_nothing_half_is_kept(browser: Browser, fresh: Served) -> None:
    room = 1_000_000
    browser.do("quota", bytes=room)
    error = _prepared(browser)["error"]
    browser.do("quota", bytes=None)
    assert (error["code"], error["file"]) == ("quota", "unet/model.onnx.data")
    assert "has no room for unet/model.onnx.data (2.4 MB); free some space" in error["message"]
    held = browser.call("kept")
    assert held.items() <= {file.sha256: file.bytes for file in _needed(fresh.bundle)}.items()
    assert 0 < sum(held.values()) < room
    assert _prepared(browser) == {}


def test_what_other_bundles_left_goes_where_room_is_short(browser: Browser, fresh: Served) -> None:
    needed = _needed(fresh.bundle)
    browser.call("plant", {"path": "manifest.json", "name": "0" * 64, "bytes": 3_000_000, "garbage": True})
    browser.do("quota", bytes=sum(file.bytes for file in needed) + 1_000_000)
    told = _prepared(browser)
    browser.do("quota", bytes=None)
    assert told == {}
    assert browser.call("kept") == {file.sha256: file.bytes for file in needed}


def test_without_a_cache_nothing_is_kept(browser: Browser, fresh: Served) -> None:
    browser.call("open", {"device": "webnn-cpu", "cache": False})
    assert _prepared(browser) == {}
    assert fresh.fetched.keys() == {file.path for file in _needed(fresh.bundle)}
    assert browser.call("kept") == {}


def test_what_is_kept_can_be_given_back(browser: Browser, fresh: Served) -> None:
    assert _prepared(browser) == {}
    assert len(browser.call("kept")) == len(_needed(fresh.bundle))
    browser.call("open", {"device": "webnn-cpu"})
    browser.call("forget")
    assert browser.call("kept") == {}


def test_a_folder_without_a_bundle_is_told(browser: Browser, fresh: Served) -> None:
    fresh.server.routes = {path: file for path, file in fresh.server.routes.items() if path != "/bundle/manifest.json"}
    error = browser.call("open", {})["error"]
    assert error["code"] == "bundle"
    assert "is not a bundle: the server says 404 to its manifest.json" in error["message"]
