"""Writes a byte-level CLIP vocabulary with the form and size of the published one, for use in place of that."""

from __future__ import annotations

from itertools import islice, product
from pathlib import Path
from string import ascii_lowercase

from turbo_webnn.models.json_file import write_json

START, END = "<|startoftext|>", "<|endoftext|>"


def write_vocabulary(folder: Path, size: int) -> None:
    """Write `vocab.json` and `merges.txt` of `size` entries into `folder`, as CLIPTokenizer reads them.

    The order is that of the published vocabulary: 256 bytes from "!" on, the same bytes at the end of a word, merges,
    and two special tokens. The merges give groups of two to four letters.
    """
    symbols = _byte_symbols()
    merges = list(islice(_merges(), size - 2 * len(symbols) - 2))
    tokens = [*symbols, *(symbol + "</w>" for symbol in symbols), *(a + b for a, b in merges), START, END]
    assert len(tokens) == len(set(tokens)) == size
    write_json(folder / "vocab.json", {token: index for index, token in enumerate(tokens)})
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _byte_symbols() -> list[str]:
    """A printable character for each byte: the byte itself, or a character from 256 on (as in GPT-2's encoder.py)."""
    printable_bytes = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    other_bytes = [byte for byte in range(256) if byte not in printable_bytes]
    return [chr(byte) for byte in printable_bytes] + [chr(256 + index) for index in range(len(other_bytes))]


def _merges() -> list[tuple[str, str]]:
    letters = list(ascii_lowercase)
    ends = [letter + "</w>" for letter in letters]
    pairs = list(product(letters, letters))
    joined = [a + b for a, b in pairs]
    return [
        *pairs,
        *product(letters, ends),
        *product(joined, letters),
        *product(joined, ends),
        *product(joined, joined),
    ]
