"""A pipeline's tokenizer in the two files that `tokenizers` and transformers.js read, padding set right."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from turbo_webnn.models.bundle import Tokenizer, describe
from turbo_webnn.models.clip_tokenizer import open_clip_tokenizer
from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import read_json
from turbo_webnn.models.parts.clip_text import TOKENS
from turbo_webnn.models.source import Source


def write_tokenizer(source: Source, bundle: Path, encoder: Component, kept: Sequence[str]) -> Tokenizer:
    """Write the files `kept` of the tokenizer that `encoder` reads to its own folder in `bundle`; return its entry.

    Raises:
        RequestError: as `open_clip_tokenizer`, or where the tokenizer has ids that the encoder has no embedding of.
    """
    name = str(encoder.tokenizer)
    folder = source.folder / name
    tokenizer = open_clip_tokenizer(folder)
    known, last = source.config(encoder)["vocab_size"], max(tokenizer.get_vocab().values())
    if last >= known:
        raise RequestError(
            f"{folder} has tokens up to id {last}, and {encoder.name} embeds {known}",
            "give the tokenizer that the text encoder was trained with",
        )
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
