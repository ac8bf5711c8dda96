"""Every reader of a bundle's tokenizer gives the ids that transformers gives for the checkpoint."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from transformers import CLIPTokenizer

from tests.hard_prompts import HARD, at_random, by_character
from turbo_webnn.export.tokenizers import write_tokenizer
from turbo_webnn.models.bundle import Bundle, Tokenizer
from turbo_webnn.models.layouts.layout import TOKENIZER_FILES
from turbo_webnn.models.parts.clip_text import TOKENS
from turbo_webnn.models.source import EMBEDDED, open_source
from turbo_webnn.runtime.draw.text import PromptTokenizer
from turbo_webnn.runtime.serving import MODULES, WEB

LIBRARY = MODULES / "@huggingface/tokenizers/dist/tokenizers.mjs"
HERE = Path(__file__).parent
CONFIG, MAP = "tokenizer_config.json", "special_tokens_map.json"
START, END, START_ID, END_ID = "<|startoftext|>", "<|endoftext|>", 919, 920


def token(content: str, *, normalized: bool, **more: Any) -> dict[str, Any]:
    flags = {"lstrip": False, "normalized": normalized, "rstrip": False, "single_word": False}
    return {"content": content, **flags, **more}


def config(**more: Any) -> dict[str, Any]:
    texts = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    common = {"add_prefix_space": False, "do_lower_case": True, "errors": "replace", "model_max_length": TOKENS}
    return common | texts | {"tokenizer_class": "CLIPTokenizer"} | more


def decoder(*, pad: bool, end_normalized: bool) -> dict[str, Any]:
    """`added_tokens_decoder`, as transformers 4 writes it."""
    padding = {"0": token("!", normalized=False, special=True)} if pad else {}
    start = token(START, normalized=True, special=True)
    return padding | {str(START_ID): start, str(END_ID): token(END, normalized=end_normalized, special=True)}


ROLES = {"bos_token": START, "eos_token": END, "unk_token": END}
NORMALIZED = {role: token(text, normalized=True) for role, text in ROLES.items()}
PUBLISHED: Mapping[str, dict[str, dict[str, Any]]] = {
    "SD 1.5": {
        CONFIG: config(**{role: {"__type": "AddedToken", **value} for role, value in NORMALIZED.items()}),
        MAP: NORMALIZED | {"pad_token": END},
    },
    "SD-Turbo": {CONFIG: config(), MAP: ROLES | {"pad_token": "!"}},
    "SD-Turbo with a decoder": {
        CONFIG: config(added_tokens_decoder=decoder(pad=True, end_normalized=False)),
        MAP: NORMALIZED | {"pad_token": "!"},
    },
    "SDXL": {
        CONFIG: config(added_tokens_decoder=decoder(pad=False, end_normalized=True)),
        MAP: NORMALIZED | {"pad_token": END},
    },
}
"""The configs beside the vocab.json and merges.txt of published checkpoints, which have no tokenizer.json."""

EMBEDDED_FORMS = {"tiny": ("tiny", "tokenizer"), "tiny-xl": ("tiny-xl", "tokenizer"), "2": ("tiny-xl", "tokenizer_2")}
FORMS = (*EMBEDDED_FORMS, *PUBLISHED)


@dataclass(frozen=True)
class Written:
    """A checkpoint's tokenizer, and what an export writes of it."""

    checkpoint: Path
    bundle: Path
    entry: Tokenizer

    @property
    def name(self) -> str:
        return self.checkpoint.name


def write(folder: Path, form: str) -> Written:
    model, name = EMBEDDED_FORMS.get(form, ("tiny", "tokenizer"))
    shutil.copytree(EMBEDDED[model], folder / "checkpoint", ignore=shutil.ignore_patterns("*.safetensors"))
    checkpoint = folder / "checkpoint" / name
    if form in PUBLISHED:
        (checkpoint / "tokenizer.json").unlink()
        for file, content in PUBLISHED[form].items():
            (checkpoint / file).write_text(json.dumps(content))
    source = replace(open_source(model), folder=folder / "checkpoint")
    (encoder,) = (part for part in source.family.text_encoders if part.tokenizer == name)
    bundle = folder / "bundle"
    bundle.mkdir()
    return Written(checkpoint, bundle, write_tokenizer(source, bundle, encoder, TOKENIZER_FILES))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    return {form: write(tmp_path_factory.mktemp("form"), form) for form in FORMS}


@pytest.fixture(scope="module")
def prompts() -> list[str]:
    return [*HARD, *at_random(500), *by_character()]


@pytest.fixture(scope="module")
def in_node(node_modules: None, written: dict[str, Written], prompts: list[str]) -> dict[str, dict[str, Any]]:
    """What encode_prompts.mjs answers, by form."""
    bundles = [
        {"folder": str(one.bundle), "name": one.name, "entry": msgspec.to_builtins(one.entry)}
        for one in written.values()
    ]
    asked = {"library": LIBRARY.as_uri(), "text": (WEB / "text.mjs").as_uri(), "prompts": prompts, "bundles": bundles}
    command = ["node", str(HERE / "encode_prompts.mjs")]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return dict(zip(written, json.loads(done.stdout), strict=True))


def wanted(one: Written, prompts: Sequence[str], *, fixed: bool) -> list[list[int]]:
    """The ids by transformers, from the files of the checkpoint; cut and padded where `fixed`.

    The padding is the manifest's: transformers 5 does not read the padding that SD-Turbo was trained with.
    """
    tokenizer = CLIPTokenizer.from_pretrained(one.checkpoint)
    rows = tokenizer(list(prompts), max_length=TOKENS if fixed else None, truncation=fixed).input_ids
    return [row + [one.entry.pad_id] * (TOKENS - len(row)) for row in rows] if fixed else rows


def assert_equal(prompts: Sequence[str], found: Sequence[list[int]], expected: Sequence[list[int]]) -> None:
    differing = [ascii(prompt) for prompt, a, b in zip(prompts, found, expected, strict=True) if a != b]
    assert not differing, f"{len(differing)} of {len(prompts)} prompts, such as {sorted(differing, key=len)[:5]}"


@pytest.mark.parametrize("form", FORMS)
def test_the_runner(written: dict[str, Written], prompts: list[str], form: str, tiny_fp16: Path) -> None:
    one = written[form]
    manifest = replace(Bundle.open(tiny_fp16).manifest, tokenizers={one.name: one.entry})
    runner = PromptTokenizer(Bundle(one.bundle, manifest), one.name)
    found = [runner.encode(prompt).ids[0].tolist() for prompt in prompts]
    assert_equal(prompts, found, wanted(one, prompts, fixed=True))


@pytest.mark.parametrize("form", FORMS)
def test_the_browser_module(
    in_node: dict[str, Any], written: dict[str, Written], prompts: list[str], form: str
) -> None:
    assert_equal(prompts, in_node[form]["fixed"], wanted(written[form], prompts, fixed=True))


@pytest.mark.parametrize("form", FORMS)
def test_a_page_with_the_library_alone(
    in_node: dict[str, Any], written: dict[str, Written], prompts: list[str], form: str
) -> None:
    assert_equal(prompts, in_node[form]["whole"], wanted(written[form], prompts, fixed=False))


@pytest.mark.parametrize("form", FORMS)
def test_transformers_on_the_bundle(written: dict[str, Written], prompts: list[str], form: str) -> None:
    one = written[form]
    tokenizer = CLIPTokenizer.from_pretrained(one.bundle / one.name)
    found = tokenizer(prompts, padding="max_length", max_length=TOKENS, truncation=True).input_ids
    assert_equal(prompts, found, wanted(one, prompts, fixed=True))


def test_published_forms_pad_as_their_models_were_trained(written: dict[str, Written]) -> None:
    pads = {form: written[form].entry.pad_id for form in PUBLISHED}
    assert pads == {"SD 1.5": END_ID, "SD-Turbo": 0, "SD-Turbo with a decoder": 0, "SDXL": END_ID}


def test_a_long_prompt_keeps_the_end_token(written: dict[str, Written]) -> None:
    (row,) = wanted(written["tiny"], ["cat " * 200], fixed=True)
    assert (len(row), row[0], row[-1]) == (TOKENS, START_ID, END_ID)
