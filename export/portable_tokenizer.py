"""States in a CLIP tokenizer.json what its readers do differently, so that every reader gives the same ids.

The readers are the library `tokenizers` and its JavaScript twin `@huggingface/tokenizers`, which transformers.js uses.
The ids stay those of transformers. The patterns are valid both in Oniguruma and, as they are, in JavaScript.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_WHITE_SPACE = r"\p{White_Space}"
"""What `\\s` is in Oniguruma. JavaScript's `\\s` has U+FEFF besides, and lacks U+0085."""

_BYTE_LEVEL_SPLIT = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+|"
    rf" ?[^{_WHITE_SPACE}\p{{L}}\p{{N}}]+|{_WHITE_SPACE}+(?!\P{{White_Space}})|{_WHITE_SPACE}+"
)
"""The pattern that the pre-tokenizer ByteLevel has built in, where each reader has its own `\\s`."""

_FINAL_SIGMA = {"type": "Replace", "pattern": {"String": "Σ"}, "content": "σ"}
"""JavaScript lowercases Σ at the end of a word to ς, and Rust to σ. No other character's lower case depends on the
characters beside it."""

_JAVASCRIPT_SYNTAX = re.compile(r"[\^$\\.*+?()\[\]{}|/]")
"""The characters that a pattern of JavaScript's Unicode mode may escape."""


def make_portable(tokenizer_json: dict[str, Any]) -> None:
    """Rewrite the normalizer and the pre-tokenizer of transformers' CLIPTokenizer in place.

    Args:
        tokenizer_json: the content of tokenizer.json.
    """
    steps = [_with_white_space(step) for step in tokenizer_json["normalizer"]["normalizers"]]
    lowercase = [step["type"] for step in steps].index("Lowercase")
    added = tokenizer_json["added_tokens"]
    normalized = [token["content"] for token in added if token["normalized"]]
    unnormalized = [token["content"] for token in added if not token["normalized"]]
    tokenizer_json["normalizer"]["normalizers"] = [
        *steps[:lowercase],
        _FINAL_SIGMA,
        *steps[lowercase:],
        *(_set_apart(content, normalized) for content in unnormalized),
    ]
    tokenizer_json["pre_tokenizer"]["pretokenizers"] = [
        part for step in tokenizer_json["pre_tokenizer"]["pretokenizers"] for part in _pre_tokenizers(step)
    ]


def _with_white_space(step: dict[str, Any]) -> dict[str, Any]:
    regex = step.get("pattern", {}).get("Regex")
    return step if regex is None else step | {"pattern": {"Regex": regex.replace(r"\s", _WHITE_SPACE)}}


def _set_apart(content: str, normalized: Sequence[str]) -> dict[str, Any]:
    """The step that puts a space before the token `content` where nothing stands beside it in a normalized text.

    A token that is not normalized is found before the text is lowercased: `<|ENDOFTEXT|>` is not this token but a
    word. After `@huggingface/tokenizers` has taken the `normalized` tokens out of the lowercased text, it takes a part
    that equals `content` for the token. With the space it is another text. The space has no id.
    """
    befores = "|".join([r"(?<![\s\S])", *(f"(?<={_literal(token)})" for token in normalized)])
    afters = "|".join([r"(?![\s\S])", *(f"(?={_literal(token)})" for token in normalized)])
    pattern = f"(?:{befores}){_literal(content)}(?:{afters})"
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": f" {content}"}


def _literal(text: str) -> str:
    return _JAVASCRIPT_SYNTAX.sub(r"\\\g<0>", text)


def _pre_tokenizers(step: dict[str, Any]) -> list[dict[str, Any]]:
    if step["type"] == "ByteLevel" and step["use_regex"]:
        split = {"type": "Split", "pattern": {"Regex": _BYTE_LEVEL_SPLIT}, "behavior": "Isolated", "invert": False}
        return [split, step | {"use_regex": False}]
    return [_with_white_space(step)]
