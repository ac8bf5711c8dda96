from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.bundle import MANIFEST, Bundle, Manifest, Tokenizer, describe, write_manifest
from models.bundle import manifest as manifests
from models.chain import BundleFile, Chain, Graph, Tensor
from models.component import Size
from models.schedule import Schedule, Step
from tests.refusal import refusal


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle of one graph and one tokenizer, whose files hold words."""
    folder = tmp_path / "bundle"
    files = [folder / name for name in ("unet/model.onnx", "unet/model.onnx.data", "tokenizer/tokenizer.json")]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    graph, data, tokenizer = (describe(folder, path) for path in files)
    sample, noise = (Tensor(name, "float16", (1, 4, 2, 3)) for name in ("sample", "out_sample"))
    alone = Graph(files=(graph, data), nodes=7, inputs=(sample,), outputs=(noise,))
    unet = Chain(inputs=(sample,), outputs=(noise,), graphs=(alone,), webnn={"whole": True})
    manifest = Manifest(
        family="stable-diffusion",
        layout="webnn",
        precision="fp16",
        size=Size(1, 16, 24),
        source={"name": "someone/turbo", "revision": "0123", "variant": None, "license": "mit"},
        scaling_factor=0.18215,
        scheduler="EulerDiscreteScheduler",
        schedules={
            1: Schedule(14.6, (Step(999.0, 14.6, 0.0),)),
            2: Schedule(14.6, (Step(999.0, 14.6, 1.6, 0.5), Step(499.0, 1.6, 0.0))),
        },
        components={"unet": unet},
        tokenizers={"tokenizer": Tokenizer((tokenizer,), 77, 49407, "text_encoder")},
        conditions={"time_ids": (24.0, 16.0, 0.0, 0.0, 24.0, 16.0)},
    )
    write_manifest(folder, manifest)
    return Bundle(folder, manifest)


def change(bundle: Bundle, edit: Callable[[dict[str, Any]], object]) -> None:
    path = bundle.folder / MANIFEST
    held = json.loads(path.read_text())
    edit(held)
    path.write_text(json.dumps(held))


def test_a_manifest_is_read_as_it_was_written(bundle: Bundle) -> None:
    assert Bundle.open(bundle.folder) == bundle
    held = json.loads((bundle.folder / MANIFEST).read_text())
    assert held["size"] == {"batch": 1, "height": 16, "width": 24, "latent_height": 2, "latent_width": 3}
    assert next(iter(held)) == "format"
    assert list(bundle.folder.glob(".*")) == []


def test_what_a_bundle_holds(bundle: Bundle) -> None:
    assert [file.path for file in bundle.files()] == [
        "unet/model.onnx",
        "unet/model.onnx.data",
        "tokenizer/tokenizer.json",
    ]
    (graph,) = bundle.chain("unet").graphs
    assert bundle.path(graph) == bundle.folder / "unet" / "model.onnx"
    assert refusal(bundle.chain, "vae_encoder").endswith(
        "has no vae_encoder; it has unet: export with --component vae_encoder"
    )


@pytest.mark.parametrize(
    ("version", "right"), [(2, "update turbo-webnn"), (0, "export it anew"), ("1", "export it anew"), (None, "anew")]
)
def test_another_format(bundle: Bundle, version: object, right: str) -> None:
    change(bundle, lambda held: held.update(format=version))
    said = refusal(Bundle.open, bundle.folder)
    assert f"has format {version!r}, this reads 1; " in said
    assert said.endswith(right)


@pytest.mark.parametrize(
    "key", ["family", "precision", "size", "schedules", "components", "tokenizers", "scaling_factor", "image"]
)
def test_a_manifest_that_lacks_a_field(bundle: Bundle, key: str) -> None:
    change(bundle, lambda held: held.pop(key))
    assert refusal(Bundle.open, bundle.folder) == f"{bundle.folder / MANIFEST} lacks '{key}'; export it anew"


@pytest.mark.parametrize(
    "edit",
    [
        lambda held: held.update(precision="int4"),
        lambda held: held.update(components=[]),
        lambda held: held.update(schedules={"two": held["schedules"]["2"]}),
        lambda held: held["schedules"]["1"]["steps"][0].update(extra=1),
        lambda held: held["size"].update(height="tall"),
        lambda held: held["components"]["unet"]["graphs"][0].update(files=[]),
        lambda held: held["components"]["unet"]["inputs"][0].update(shape=4),
    ],
)
def test_a_manifest_of_another_form(bundle: Bundle, edit: Callable[[dict[str, Any]], object]) -> None:
    change(bundle, edit)
    assert "is not a bundle's manifest (" in refusal(Bundle.open, bundle.folder)


@pytest.mark.parametrize("path", ["../outside", "/outside", "unet/../../outside", "..\\outside"])
def test_a_file_that_leaves_the_bundle(bundle: Bundle, path: str) -> None:
    (bundle.folder.parent / "outside").write_text("model.onnx")
    change(bundle, lambda held: held["components"]["unet"]["graphs"][0]["files"][0].update(path=path))
    assert f"{path} leaves the bundle" in refusal(Bundle.open, bundle.folder)


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    assert refusal(Bundle.open, tmp_path).endswith("it has no manifest.json; make one: turbo-webnn export")


def test_a_file_that_is_missing_or_short(bundle: Bundle) -> None:
    path = bundle.folder / "unet" / "model.onnx.data"
    path.write_text("short")
    assert refusal(Bundle.open, bundle.folder).startswith(f"{path} has 5 bytes, the manifest says 15; copy the bundle")
    path.unlink()
    assert refusal(Bundle.open, bundle.folder).startswith(f"{path} is missing; copy the bundle whole")


def test_a_file_that_was_changed(bundle: Bundle) -> None:
    bundle.require_intact()
    path = bundle.folder / "unet" / "model.onnx"
    path.write_text("model.ONNX")
    Bundle.open(bundle.folder)  # files are looked for, not read
    assert refusal(bundle.require_intact).startswith(f"{path} does not match its sha256 in the manifest;")


def test_a_file_is_described(tmp_path: Path) -> None:
    path = tmp_path / "unet" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2's own example
    assert describe(tmp_path, path) == BundleFile("unet/model.onnx", 3, digest)


def test_a_manifest_is_written_whole_or_not(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, held: object) -> None:
        path.write_text("{")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(manifests, "write_json", full)
    said = refusal(write_manifest, bundle.folder, replace(bundle.manifest, layout="other"))
    assert said.endswith("cannot be written (No space left on device); free some space")
    assert Bundle.open(bundle.folder) == bundle
    assert list(bundle.folder.glob(".*")) == []
