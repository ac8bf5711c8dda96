"""Tokenizers as diffusers' pipelines ask them, and those that they would ask otherwise."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.refusal import refusal
from turbo_webnn.export.tokenizers import write_tokenizer
from turbo_webnn.models.clip_tokenizer import open_clip_tokenizer
from turbo_webnn.models.source import EMBEDDED, open_source

CONFIG, MAP = "tokenizer_config.json", "special_tokens_map.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EMBEDDED["tiny"] / "tokenizer", tmp_path / "tokenizer"))


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("length", [77, 77.0, None])
def test_a_prompt_has_the_length_of_the_encoder(folder: Path, length: float | None) -> None:
    change(folder / CONFIG, model_max_length=length)
    assert open_clip_tokenizer(folder).pad_token_id == 0


@pytest.mark.parametrize(
    ("file", "values", "said"),
    [
        (CONFIG, {"model_max_length": 64}, "has model_max_length = 64; served is 77"),
        (CONFIG, {"model_max_length": 248}, "has model_max_length = 248; served is 77"),
        (CONFIG, {"model_max_length": "77"}, "has model_max_length = '77'; served is 77"),
        (CONFIG, {"padding_side": "left"}, "has padding_side = 'left'; served is 'right'"),
        (CONFIG, {"padding_side": "up"}, "holds no CLIP tokenizer (Padding side"),
        (CONFIG, {"truncation_side": "left"}, "has truncation_side = 'left'; served is 'right'"),
        (CONFIG, {"extra_special_tokens": 7}, "holds no CLIP tokenizer ("),
        (CONFIG, {"bos_token": "\ud800"}, "has text with half of a surrogate pair; write it as UTF-8"),
        (MAP, {"pad_token": 5}, "holds no CLIP tokenizer ("),
        (MAP, {"pad_token": {"content": 5}}, "holds no CLIP tokenizer ("),
        ("tokenizer.json", {"model": None}, "holds no CLIP tokenizer ("),
    ],
)
def test_a_tokenizer_that_is_asked_otherwise(folder: Path, file: str, values: dict[str, Any], said: str) -> None:
    change(folder / file, **values)
    assert said in refusal(open_clip_tokenizer, folder)


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    said = refusal(open_clip_tokenizer, tmp_path / "tokenizer")
    assert said == f"{tmp_path} has no tokenizer/; give a complete diffusers folder"


@pytest.mark.parametrize(
    ("file", "values"),
    [(MAP, {"pad_token": "<|unheard|>"}), (CONFIG, {"added_tokens_decoder": {"921": {"content": "<new>"}}})],
)
def test_tokens_that_the_encoder_does_not_embed(tmp_path: Path, file: str, values: dict[str, Any]) -> None:
    checkpoint = Path(shutil.copytree(EMBEDDED["tiny"], tmp_path / "turbo"))
    change(checkpoint / "tokenizer" / file, **values)
    source = open_source(str(checkpoint))
    said = refusal(write_tokenizer, source, tmp_path / "out", source.family.component("text_encoder"), [])
    assert "has tokens up to id 921, and text_encoder embeds 921; give the tokenizer that" in said
    assert not (tmp_path / "out").exists()
