"""The tokenizer of a text encoder, as transformers reads it, with the padding that the checkpoint was trained with.

Imported only where transformers is at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import read_json
from turbo_webnn.models.parts.clip_text import TOKENS
from turbo_webnn.models.printable import printable

_MAP = "special_tokens_map.json"

_LARGEST_LENGTH = 1_000_000
"""transformers gives a length far beyond this one where a config states none; diffusers' pipelines need one."""


def open_clip_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer in `folder`.

    The padding is the token that `special_tokens_map.json` names where there is one: SD-Turbo was trained with
    "!" (id 0) there, though its `tokenizer_config.json`, all that newer transformers read, names the end-of-text token.

    Raises:
        RequestError: where the folder holds no CLIP tokenizer, or one that gives a prompt another form than `TOKENS`
            ids, the text first and cut at its end.
    """
    if not folder.is_dir():
        raise RequestError(f"{folder.parent} has no {folder.name}/", "give a complete diffusers folder")
    # all of them: transformers takes text that cannot be written again
    files = {path.name: read_json(path) for path in sorted(folder.glob("*.json"))}
    try:
        tokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # tokenizers raises nothing narrower
        raise RequestError(
            f"{folder} holds no CLIP tokenizer ({printable(str(error))})", "copy or download it anew"
        ) from error
    for key, value, served in (
        ("model_max_length", tokenizer.model_max_length, TOKENS),
        ("padding_side", tokenizer.padding_side, "right"),
        ("truncation_side", tokenizer.truncation_side, "right"),
    ):
        unstated = isinstance(value, int) and value > _LARGEST_LENGTH
        if value != served and not unstated:
            raise RequestError(f"{folder} has {key} = {printable(repr(value))}", f"served is {served!r}")
    pad_token = _pad_token(folder / _MAP, files.get(_MAP, {}))
    if pad_token is not None:
        tokenizer.pad_token = pad_token
    return tokenizer


def _pad_token(path: Path, special: Mapping[str, Any]) -> str | None:
    token = special.get("pad_token")
    token = token.get("content") if isinstance(token, dict) else token
    if not isinstance(token, str | None):
        raise RequestError(f"{path} has pad_token = {printable(repr(token))}", "served is a token's text")
    return token
