"""The small tokenizer of the embedded models: CLIP's byte-level BPE over a few hundred words.

The vocabulary has the order of CLIP's: 256 bytes, the same 256 bytes at the end of a word, one token for each merge,
then the start and the end of the text. Any text can be encoded, id 0 is "!", and the end has the highest id.

The merges are data in the `merges.txt` of the checkpoints. They were made once, with the trainer of the library
`tokenizers`, from the words of the grammar and about 150 common words of prompts; each word is one token. That trainer
breaks ties at random, so a repeated training needs these files.
"""

from __future__ import annotations

import json
from pathlib import Path

from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"


def build_tokenizer(folder: Path, *, pad: str) -> CLIPTokenizer:
    """Build the tokenizer with the merges in `folder`.

    Args:
        folder: holds `merges.txt`.
        pad: the padding: "!" for SD-Turbo, the end of the text for the first tokenizer of SDXL-Turbo.
    """
    merges = _merges(folder / "merges.txt")
    alphabet = _bytes_in_clips_order()
    tokens = [
        *alphabet,
        *(letter + WORD_END for letter in alphabet),
        *("".join(pair) for pair in merges),
        START,
        END,
    ]
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=merges,
        unk_token=END,
        bos_token=START,
        eos_token=END,
        pad_token=pad,
        model_max_length=77,
    )


def save_vocabulary(tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write the three older files that published checkpoints have in addition to tokenizer.json."""
    tokenizer.backend_tokenizer.model.save(str(folder))  # vocab.json, merges.txt
    special = json.dumps(tokenizer.special_tokens_map, indent=2)
    (folder / "special_tokens_map.json").write_text(special + "\n", encoding="utf-8")


def _merges(path: Path) -> list[tuple[str, str]]:
    """Read the pairs to merge, in order; the first line of the file is the version of the format."""
    pairs = (line.split() for line in path.read_text(encoding="utf-8").splitlines()[1:])
    return [(left, right) for left, right in pairs]


def _bytes_in_clips_order() -> list[str]:
    """The 256 printable characters for the bytes: first the printable bytes themselves, then the others."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(code) for code in plain] + [chr(256 + extra) for extra in range(256 - len(plain))]
