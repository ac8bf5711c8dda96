"""Writes a pipeline's tokenizer in the two files that `tokenizers` and transformers.js read.

Length and padding are set, and both readers give the ids of transformers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from turbo_webnn.export.portable_tokenizer import make_portable
from turbo_webnn.models.bundle import Tokenizer, describe
from turbo_webnn.models.clip_tokenizer import open_clip_tokenizer
from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import read_json
from turbo_webnn.models.parts.clip_text import TOKENS
from turbo_webnn.models.source import Source


def write_tokenizer(source: Source, bundle: Path, encoder: Component, file_names: Sequence[str]) -> Tokenizer:
    """Write the tokenizer of a text encoder to its own folder in `bundle`; return its entry in the manifest.

    Args:
        source: the checkpoint.
        bundle: the folder of the bundle.
        encoder: the text encoder that reads the tokenizer's ids.
        file_names: the names of the files to write.

    Raises:
        RequestError: as `open_clip_tokenizer`, or if the tokenizer has ids for which the encoder has no embedding.
    """
    name = str(encoder.tokenizer)
    folder = source.folder / name
    tokenizer = open_clip_tokenizer(folder)
    vocab_size, last_id = source.config(encoder)["vocab_size"], max(tokenizer.get_vocab().values())
    if last_id >= vocab_size:
        raise RequestError(
            f"{folder} has tokens up to id {last_id}, and {encoder.name} embeds {vocab_size}",
            "give the tokenizer that the text encoder was trained with",
        )
    target = bundle / name
    tokenizer.save_pretrained(str(target))
    for file in target.iterdir():
        if file.name not in file_names:
            file.unlink()
    path = target / "tokenizer.json"
    tokenizer_json = read_json(path)
    make_portable(tokenizer_json)
    _fix_length(tokenizer_json, tokenizer.pad_token_id, tokenizer.pad_token)
    path.write_text(json.dumps(tokenizer_json, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    if "vocab.json" in file_names:
        _write_vocabulary(target)
    files = tuple(describe(bundle, target / file_name) for file_name in file_names)
    return Tokenizer(files=files, length=TOKENS, pad_id=tokenizer.pad_token_id, text_encoder=encoder.name)


def _write_vocabulary(folder: Path) -> None:
    """Write the vocabulary and the merges of tokenizer.json to separate files, which older tokenizers read."""
    model = read_json(folder / "tokenizer.json")["model"]
    vocabulary_json = json.dumps(model["vocab"], ensure_ascii=False, separators=(",", ":"))
    (folder / "vocab.json").write_text(vocabulary_json, encoding="utf-8")
    merges = (merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"])
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")


def _fix_length(tokenizer_json: dict[str, Any], pad_id: int, pad_token: str) -> None:
    """Set length, truncation and padding in tokenizer.json itself, so that its readers need no second file."""
    tokenizer_json["truncation"] = {"direction": "Right", "max_length": TOKENS, "strategy": "LongestFirst", "stride": 0}
    tokenizer_json["padding"] = {
        "strategy": {"Fixed": TOKENS},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": pad_id,
        "pad_type_id": 0,
        "pad_token": pad_token,
    }
