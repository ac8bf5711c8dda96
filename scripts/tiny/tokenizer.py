"""The small tokenizer of the embedded models: CLIP's byte-level BPE over a few hundred words.

The vocabulary is laid out as CLIP's: 256 bytes, the same 256 ending a word, one token a merge, then the
start and the end of the text. So any text can be written, id 0 is "!", and the end has the highest id.

Its merges are data, kept in the checkpoints' own `merges.txt`. They were made once, with the trainer of the library
`tokenizers` over the words of the grammar and some 150 that people ask a model for; each of them is one token. That
trainer breaks ties at random, so its files are what a training can be repeated from.
"""

from __future__ import annotations

import json
from pathlib import Path

from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"


def build_tokenizer(folder: Path, *, pad: str) -> CLIPTokenizer:
    """CLIP's over the merges in `folder`. SD-Turbo's pads with "!", SDXL-Turbo's first with the text's end."""
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
    """Writes, beside tokenizer.json, the three older files that published checkpoints hold as well."""
    tokenizer.backend_tokenizer.model.save(str(folder))  # vocab.json, merges.txt
    special = json.dumps(tokenizer.special_tokens_map, indent=2)
    (folder / "special_tokens_map.json").write_text(special + "\n", encoding="utf-8")


def _merges(path: Path) -> list[tuple[str, str]]:
    """The byte pairs to join, in order; the first line is the format's version."""
    pairs = (line.split() for line in path.read_text(encoding="utf-8").splitlines()[1:])
    return [(left, right) for left, right in pairs]


def _bytes_in_clips_order() -> list[str]:
    """The 256 printable stand-ins for bytes: those that print as they are first, the others after."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(code) for code in plain] + [chr(256 + extra) for extra in range(256 - len(plain))]
