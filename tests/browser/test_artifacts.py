"""What is fetched, what is kept, and that nothing wrong ever is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Browser, Serve, Served, routes_for_tests
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.chain import BundleFile
from turbo_webnn.runtime.serving import ServedFile

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
    whole = fresh.server.routes[url].path.read_bytes()
    if harm != "missing":
        harmed.write_bytes(
            {"truncated": whole[:1000], "longer": whole + b"!", "altered": bytes([whole[0] ^ 1]) + whole[1:]}[harm]
        )
    fresh.server.routes = {**fresh.server.routes, url: ServedFile.of(tmp_path, harmed.name)}
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


UNET = "unet/model.onnx.data"


def _file(bundle: Bundle, path: str) -> BundleFile:
    return next(file for file in bundle.files() if file.path == path)


@pytest.mark.parametrize(
    ("path", "damage"),
    [
        (UNET, {"at": 0, "flip": 1}),
        (UNET, {"at": 1_234_567, "flip": 255}),
        (UNET, {"at": -1, "flip": 128}),
        (UNET, {"resize": 1000}),
        (UNET, {"resize": 0}),
        (UNET, {"resize": 3_000_000}),
        ("text_encoder/model.onnx", {"at": 100, "flip": 4}),
        ("tokenizer/tokenizer.json", {"at": 20, "flip": 1}),
    ],
)
def test_a_kept_file_that_the_disk_damaged_is_fetched_anew(
    browser: Browser, fresh: Served, path: str, damage: dict[str, int]
) -> None:
    assert _prepared(browser) == {}
    file = _file(fresh.bundle, path)
    at = damage.get("at", 0) % file.bytes
    browser.call("damage", {"name": file.sha256, **damage, "at": at})
    assert browser.call("keptRight")[file.sha256] is False
    _visit(browser, fresh)
    heard = {event["file"]: event["cached"] for event in browser.call("prepareHeard")["events"]}
    assert fresh.fetched == {path: ""}
    assert [file for file, was_kept in heard.items() if not was_kept] == [path]
    assert browser.call("keptRight") == {file.sha256: True for file in _needed(fresh.bundle)}


def test_a_damaged_file_is_not_used_where_the_server_is_gone(browser: Browser, fresh: Served) -> None:
    assert _prepared(browser) == {}
    file = _file(fresh.bundle, UNET)
    browser.call("damage", {"name": file.sha256, "at": 7, "flip": 1})
    _visit(browser, fresh)
    fresh.server.routes = {url: route for url, route in fresh.server.routes.items() if not url.endswith(UNET)}
    error = _prepared(browser)["error"]
    assert (error["code"], error["file"]) == ("network", UNET)
    assert file.sha256 not in browser.call("kept")


def test_a_kept_file_is_hashed_once_a_visit(browser: Browser, fresh: Served) -> None:
    assert _prepared(browser) == {}
    browser.call("damage", {"name": _file(fresh.bundle, UNET).sha256, "at": 7, "flip": 1})  # so that reading it shows
    fresh.asked.clear()
    browser.call("open", {"device": "webnn-cpu"})  # another worker
    assert _prepared(browser) == {}
    assert fresh.fetched == {}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("sha256", "../x", "is not 64 hexadecimal digits"),
        ("sha256", "", "is not 64 hexadecimal digits"),
        ("sha256", "A" * 64, "is not 64 hexadecimal digits"),
        ("sha256", "0" * 63, "is not 64 hexadecimal digits"),
        ("sha256", "0" * 64 + "\n", "is not 64 hexadecimal digits"),
        ("sha256", None, "is not 64 hexadecimal digits"),
        ("sha256", ["0" * 64], "is not 64 hexadecimal digits"),
        ("sha256", 7, "is not 64 hexadecimal digits"),
        ("bytes", -1, "is no number of bytes"),
        ("bytes", "12", "is no number of bytes"),
        ("bytes", 1.5, "is no number of bytes"),
        ("path", "../unet/model.onnx", "is not a plain relative one"),
        ("path", "/etc/passwd", "is not a plain relative one"),
        ("path", "//evil.example/x", "is not a plain relative one"),
        ("path", "https://evil.example/x", "is not a plain relative one"),
        ("path", "data:,x", "is not a plain relative one"),
        ("path", "unet\\model.onnx", "is not a plain relative one"),
        ("path", "unet/%2e%2e/%2e%2e/x", "is not a plain relative one"),
        ("path", "unet/./model.onnx", "is not a plain relative one"),
        ("path", "unet/model.onnx?v=1", "is not a plain relative one"),
        ("path", "unet/model.onnx#v1", "is not a plain relative one"),
        ("path", "un\net/model.onnx", "is not a plain relative one"),
        ("path", "", "is not a plain relative one"),
        ("path", None, "is not a plain relative one"),
        ("path", ["unet"], "is not a plain relative one"),
    ],
)
def test_a_manifest_that_names_no_file_of_the_bundle_is_refused(
    browser: Browser, tiny: Served, tmp_path: Path, name: str, value: object, said: str
) -> None:
    manifest = json.loads((tiny.bundle.folder / "manifest.json").read_text())
    manifest["components"]["unet"]["graphs"][0]["files"][1][name] = value
    error = _opened_with(browser, tiny, tmp_path, manifest)
    assert error["code"] == "bundle"
    assert said in error["message"]
    assert "\n" not in error["message"]


@pytest.mark.parametrize("lacking", ["components", "tokenizers"])
@pytest.mark.parametrize("value", [None, 7, "x", {"unet": {}}, {"unet": None}, {"unet": {"graphs": [{"files": [1]}]}}])
def test_a_manifest_without_files_is_refused(
    browser: Browser, tiny: Served, tmp_path: Path, lacking: str, value: object
) -> None:
    manifest = json.loads((tiny.bundle.folder / "manifest.json").read_text())
    error = _opened_with(browser, tiny, tmp_path, {**manifest, lacking: value})
    assert error["code"] == "bundle"
    assert "have no files; export it anew" in error["message"]


def _opened_with(browser: Browser, served: Served, folder: Path, manifest: dict[str, Any]) -> Any:
    """The error with which a bundle of this manifest is refused."""
    (folder / "manifest.json").write_text(json.dumps(manifest))
    browser.do("open", url=served.blank)
    served.asked.clear()
    routes = routes_for_tests(served.bundle)
    served.server.routes = {**routes, "/bundle/manifest.json": ServedFile.of(folder, "manifest.json")}
    try:
        error = browser.call("open", {})["error"]
    finally:
        served.server.routes = routes
    assert served.fetched == {}
    return error


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
