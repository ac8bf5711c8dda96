from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.refusal import refusal
from turbo_webnn.models.bundle import MANIFEST, Bundle, Manifest, Tokenizer, describe, write_manifest
from turbo_webnn.models.bundle import bundle as opening
from turbo_webnn.models.chain import BundleFile, Chain, Graph, Tensor
from turbo_webnn.models.component import Size
from turbo_webnn.models.digests import sha256_of_all
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.families.stable_diffusion_xl import STABLE_DIFFUSION_XL
from turbo_webnn.models.schedule import Schedule
from turbo_webnn.models.schedulers.euler import euler_step
from turbo_webnn.models.staging.renaming import exchange


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle of one graph and one tokenizer, whose files hold words."""
    folder = tmp_path / "bundle"
    files = [folder / name for name in ("unet/model.onnx", "unet/model.onnx.data", "tokenizer/tokenizer.json")]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    graph, data, tokenizer = (describe(folder, path) for path in files)
    shapes: dict[str, tuple[int, ...]] = {
        "sample": (1, 4, 2, 3),
        "timestep": (1,),
        "encoder_hidden_states": (1, 77, 64),
        "text_embeds": (1, 32),
        "time_ids": (1, 6),
    }
    inputs = tuple(Tensor(name, "float16", shape) for name, shape in shapes.items())
    noise = Tensor("out_sample", "float16", (1, 4, 2, 3))
    alone = Graph(files=(graph, data), nodes=7, inputs=inputs, outputs=(noise,))
    unet = Chain(inputs=inputs, outputs=(noise,), graphs=(alone,), webnn={"whole": True, "graphs": []})
    manifest = Manifest(
        family="stable-diffusion-xl",
        layout="webnn",
        precision="fp16",
        size=Size(1, 16, 24),
        source={"name": "someone/turbo", "revision": "0123", "variant": None, "license": "mit"},
        scaling_factor=0.18215,
        scheduler="EulerDiscreteScheduler",
        schedules={
            1: Schedule(14.6, (euler_step(999.0, 14.6, 0.0),)),
            2: Schedule(14.6, (euler_step(999.0, 14.6, 1.6, 0.5), euler_step(499.0, 1.6, 0.0))),
        },
        components={"unet": unet},
        tokenizers={"tokenizer": Tokenizer((tokenizer,), 77, 49407, "text_encoder")},
        wiring=STABLE_DIFFUSION_XL.wiring,
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
    ("version", "right"), [(3, "update turbo-webnn"), (1, "export it anew"), ("2", "export it anew"), (None, "anew")]
)
def test_another_format(bundle: Bundle, version: object, right: str) -> None:
    change(bundle, lambda held: held.update(format=version))
    said = refusal(Bundle.open, bundle.folder)
    assert f"has format {version!r}, this reads 2; " in said
    assert said.endswith(right)


@pytest.mark.parametrize(
    "key", ["family", "precision", "size", "schedules", "components", "tokenizers", "scaling_factor", "image"]
)
def test_a_manifest_that_lacks_a_field(bundle: Bundle, key: str) -> None:
    change(bundle, lambda held: held.pop(key))
    said = refusal(Bundle.open, bundle.folder)
    assert said.startswith(str(bundle.folder / MANIFEST))
    assert f"required field {key})" in said or f"lacks {key};" in said
    assert said.endswith("; export it anew")


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
    said = refusal(Bundle.open, bundle.folder)
    assert "is not of the right form (" in said or "holds the unknown schedules.1.steps.extra;" in said


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


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes().swapcase()),
        lambda path: path.write_bytes(bytes(path.stat().st_size)),
        lambda path: path.write_bytes(path.read_bytes()[::-1]),
    ],
)
def test_a_damaged_file_is_named_when_a_bundle_is_opened(bundle: Bundle, damage: Callable[[Path], object]) -> None:
    Bundle.open(bundle.folder)
    for file in bundle.files():
        path = bundle.folder / file.path
        whole = path.read_bytes()
        damage(path)
        wrong = f"{path} does not match its sha256 in the manifest; copy the bundle whole, or export it anew"
        assert refusal(Bundle.open, bundle.folder) == wrong
        assert refusal(bundle.require_intact) == wrong
        Bundle.open_unread(bundle.folder)
        path.write_bytes(whole)
    bundle.require_intact()


def test_a_file_that_is_another_since_it_was_opened(bundle: Bundle) -> None:
    opened = Bundle.open(bundle.folder)
    (graph,) = opened.chain("unet").graphs
    path = bundle.folder / graph.path
    path.chmod(0o600)  # no difference
    with opened.unchanged(graph.files):
        pass

    def read(*, broken: bool) -> None:
        with opened.unchanged(graph.files):
            path.rename(path.with_suffix(".old"))
            path.write_bytes(path.with_suffix(".old").read_bytes())
            if broken:
                raise RequestError("it does not load")

    right = f"{path} was replaced or removed since the bundle was opened; open the bundle anew"
    assert refusal(read, broken=False) == right
    opened = Bundle.open(bundle.folder)
    assert refusal(read, broken=True) == right  # the cause, not what came of it
    assert refusal(read, broken=False) == right  # and before anything is read


def test_a_bundle_that_is_replaced_while_it_is_opened(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    other = bundle.folder.with_name("other")
    shutil.copytree(bundle.folder, other)
    (other / "unet" / "model.onnx").write_text("model.ONNX")
    file = describe(other, other / "unet" / "model.onnx")
    graph = bundle.chain("unet").graphs[0]
    chain = replace(bundle.chain("unet"), graphs=(replace(graph, files=(file, *graph.files[1:])),))
    write_manifest(other, replace(bundle.manifest, components={"unet": chain}))
    digests = sha256_of_all
    looks: list[None] = []

    def exchanged(paths: Iterable[Path]) -> dict[Path, str]:
        if not looks:
            exchange(bundle.folder, other)
        looks.append(None)
        return digests(paths)

    monkeypatch.setattr(opening, "sha256_of_all", exchanged)
    assert Bundle.open(bundle.folder).chain("unet") == chain
    assert len(looks) == 2


def test_a_file_is_described(tmp_path: Path) -> None:
    path = tmp_path / "unet" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2's own example
    assert describe(tmp_path, path) == BundleFile("unet/model.onnx", 3, digest)


def test_a_manifest_is_written_whole_or_not(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    said = refusal(write_manifest, bundle.folder, replace(bundle.manifest, layout="other"))
    assert said.endswith("cannot be written (No space left on device); free some space")
    assert Bundle.open(bundle.folder) == bundle
    assert list(bundle.folder.glob(".*")) == []
