"""The tokenizer of a text encoder, read by transformers, with the padding of the checkpoint's training.

Imported only where transformers is installed.
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
"""Where a config states no length, transformers returns a far larger one; diffusers' pipelines need a stated one."""


def open_clip_tokenizer(folder: Path) -> CLIPTokenizer:
    """Read the tokenizer in `folder`.

    The padding is the token that `special_tokens_map.json` names, where that file exists. SD-Turbo was trained with
    the padding "!" (id 0), but its `tokenizer_config.json`, the only file that newer transformers read, names the
    end-of-text token.

    Raises:
        RequestError: where the folder has no CLIP tokenizer, or the tokenizer does not pad and truncate prompts at
            their end to `TOKENS` ids.
    """
    if not folder.is_dir():
        raise RequestError(f"{folder.parent} has no {folder.name}/", "give a complete diffusers folder")
    # all files are checked: transformers accepts text that cannot be encoded again
    files = {path.name: read_json(path) for path in sorted(folder.glob("*.json"))}
    try:
        tokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # tokenizers raises no narrower type
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
