"""A pipeline's tokenizer in the two files that `tokenizers` and transformers.js read, padding set right."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer

from models.bundle import Tokenizer, describe
from models.component import Component
from models.errors import RequestError
from models.family import TOKENS
from models.json_file import read_json


def write_tokenizer(source: Path, bundle: Path, encoder: Component, kept: Sequence[str]) -> Tokenizer:
    """Write the files `kept` of the tokenizer that `encoder` reads to its own folder in `bundle`; return its entry.

    The padding is the token that `special_tokens_map.json` names where there is one: SD-Turbo was trained with
    "!" (id 0) there, though its `tokenizer_config.json` names the end-of-text token.

    Raises:
        RequestError: where the folder holds no CLIP tokenizer.
    """
    name = str(encoder.tokenizer)
    folder = source / name
    if not folder.is_dir():
        raise RequestError(f"{source} has no {name}/", "give a complete diffusers folder")
    try:
        tokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RequestError(f"{folder} holds no CLIP tokenizer ({error})", "copy or download it anew") from error
    tokenizer.pad_token = _pad_token(folder) or tokenizer.pad_token
    target = bundle / name
    tokenizer.save_pretrained(str(target))
    for extra in target.iterdir():
        if extra.name not in kept:
            extra.unlink()
    _fix_length(target / "tokenizer.json", tokenizer.pad_token_id, tokenizer.pad_token)
    if "vocab.json" in kept:
        _write_words(target)
    files = tuple(describe(bundle, target / file) for file in kept)
    return Tokenizer(files=files, length=TOKENS, pad_id=tokenizer.pad_token_id, text_encoder=encoder.name)


def _pad_token(folder: Path) -> str | None:
    path = folder / "special_tokens_map.json"
    if not path.is_file():
        return None
    token: Any = read_json(path).get("pad_token")
    token = token["content"] if isinstance(token, dict) else token
    return None if token is None else str(token)


def _write_words(folder: Path) -> None:
    """The vocabulary and the merges of tokenizer.json as files of their own, which older tokenizers read."""
    model = read_json(folder / "tokenizer.json")["model"]
    words = json.dumps(model["vocab"], ensure_ascii=False, separators=(",", ":"))
    (folder / "vocab.json").write_text(words, encoding="utf-8")
    merges = (merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"])
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")


def _fix_length(path: Path, pad_id: int, pad_token: str) -> None:
    """State length, cut and padding in tokenizer.json itself: who reads it needs no second file."""
    held = read_json(path)
    held["truncation"] = {"direction": "Right", "max_length": TOKENS, "strategy": "LongestFirst", "stride": 0}
    held["padding"] = {
        "strategy": {"Fixed": TOKENS},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": pad_id,
        "pad_type_id": 0,
        "pad_token": pad_token,
    }
    path.write_text(json.dumps(held, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
