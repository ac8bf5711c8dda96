"""One manifest in three words: the dataclasses, the JSON Schema and the browser's types, and bundles that fit them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.refusal import refusal
from turbo_webnn.models.bundle import MANIFEST
from turbo_webnn.models.bundle.manifest import read_manifest
from turbo_webnn.models.json_file import json_bytes, write_json
from turbo_webnn.scripts.schema import SCHEMA, TYPES, manifest_schema, manifest_types

Edit = Callable[[dict[str, Any]], object]

VERDICT = {
    "whole": False,
    "graphs": [
        {
            "path": "unet/model.onnx",
            "whole": False,
            "findings": ["Cast of node 7: int64 is no type of it"],
            "provider": {"litert/all": True},
            "browser": {
                "whole": False,
                "reason": "outputs are not onnxruntime's",
                "browser": "Chromium 153",
                "create_ms": 12,
                "run_ms": None,
                "relative_l2": 0.25,
            },
        }
    ],
}


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    written = json.loads(SCHEMA.read_bytes())
    Draft202012Validator.check_schema(written)
    return Draft202012Validator(written)


def test_the_schema_is_that_of_the_dataclasses() -> None:
    assert SCHEMA.read_bytes() == json_bytes(manifest_schema()), "run python -m turbo_webnn.scripts.schema"


def test_the_browsers_types_are_those_of_the_schema(node_modules: None) -> None:
    assert TYPES.read_text(encoding="utf-8") == manifest_types(manifest_schema()), (
        "python -m turbo_webnn.scripts.schema"
    )


@pytest.mark.parametrize("bundle", ["tiny_fp16", "tiny_xl_fp16"])
@pytest.mark.parametrize("verdict", [None, VERDICT], ids=["unchecked", "checked"])
def test_a_bundles_manifest_fits_and_is_written_as_it_was_read(
    request: pytest.FixtureRequest, schema: Draft202012Validator, tmp_path: Path, bundle: str, verdict: object
) -> None:
    manifest = json.loads((request.getfixturevalue(bundle) / MANIFEST).read_bytes())
    manifest["components"]["unet"]["webnn"] = verdict
    schema.validate(manifest)
    write_json(tmp_path / MANIFEST, manifest)
    assert json_bytes(read_manifest(tmp_path).to_json()) == (tmp_path / MANIFEST).read_bytes()


def unet(manifest: dict[str, Any]) -> Any:
    return manifest["components"]["unet"]


def file(manifest: dict[str, Any]) -> Any:
    return unet(manifest)["graphs"][0]["files"][0]


EDITS: dict[str, Edit] = {
    "no name": lambda held: held["source"].pop("name"),
    "a licence that is a list": lambda held: held["source"].update(license=["mit"]),
    "a source of another form": lambda held: held.update(source="tiny"),
    "an unknown key": lambda held: held.update(comment=""),
    "an unknown key inside": lambda held: file(held).update(comment=""),
    "a key less": lambda held: unet(held).pop("on_cpu"),
    "a negative size": lambda held: file(held).update(bytes=-1),
    "a size that is no whole number": lambda held: file(held).update(bytes=0.5),
    "a digest of another length": lambda held: file(held).update(sha256="00"),
    "a digest in capitals": lambda held: file(held).update(sha256="A" * 64),
    "no file": lambda held: unet(held)["graphs"][0].update(files=[]),
    "negative nodes": lambda held: unet(held)["graphs"][0].update(nodes=-1),
    "a negative dimension": lambda held: unet(held)["inputs"][0].update(shape=[1, -4]),
    "an unknown type": lambda held: unet(held)["inputs"][0].update(dtype="complex64"),
    "names of numbers": lambda held: unet(held).update(names={"sample": 1}),
    "a verdict without graphs": lambda held: unet(held).update(webnn={"whole": True}),
    "a flag that is a number": lambda held: unet(held).update(on_cpu=1),
    "no component": lambda held: held.update(components={}),
    "no schedule": lambda held: held.update(schedules={}),
    "no step": lambda held: held["schedules"]["1"].update(steps=[]),
    "a scale of zero": lambda held: held["schedules"]["1"]["steps"][0].update(input_scale=0),
    "a negative timestep": lambda held: held["schedules"]["1"]["steps"][0].update(timestep=-1),
    "a coefficient in words": lambda held: held["schedules"]["1"]["steps"][0]["next"].update(output="1"),
    "a sigma in words": lambda held: held["schedules"]["1"].update(init_noise_sigma="14.6"),
    "a factor of zero": lambda held: held.update(scaling_factor=0),
    "an unknown precision": lambda held: held.update(precision="fp8"),
    "an unknown adapter": lambda held: unet(held).update(adapters={"sample": "second_half"}),
    "an output without its component": lambda held: held["wiring"]["conditions"].update(states=["states"]),
    "a side of no latents": lambda held: held["size"].update(height=131),
    "no picture": lambda held: held["size"].update(batch=0),
    "a batch that nothing holds": lambda held: held["size"].update(batch=10**12),
    "a condition of words": lambda held: held.update(conditions={"time_ids": ["128"]}),
    "no tokens": lambda held: held["tokenizers"]["tokenizer"].update(length=0),
    "padding that is a word": lambda held: held["tokenizers"]["tokenizer"].update(pad_id="!"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_what_the_schema_refuses_is_refused_where_it_is_read(
    tiny_fp16: Path, schema: Draft202012Validator, tmp_path: Path, edit: Edit
) -> None:
    manifest = json.loads((tiny_fp16 / MANIFEST).read_bytes())
    edit(manifest)
    assert not schema.is_valid(manifest)
    write_json(tmp_path / MANIFEST, manifest)
    said = refusal(read_manifest, tmp_path)
    assert said.startswith(str(tmp_path / MANIFEST))
    assert said.endswith("; export it anew")
