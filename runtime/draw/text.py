"""Tokenize prompts without transformers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import tokenizers
from numpy.typing import NDArray

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.errors import RequestError


@dataclass(frozen=True)
class Tokens:
    """The tokens of a prompt.

    Attributes:
        ids: int32 [1, length]: start token, the prompt, end token, padding.
        cut: the part of the prompt that does not fit; empty where all of it fits.
    """

    ids: NDArray[np.int32]
    cut: str = ""


def tokenizers_of(bundle: Bundle) -> dict[str, PromptTokenizer]:
    """Load the tokenizers of `bundle`.

    Returns:
        The tokenizers by the name of the text encoder, in the order of the family.

    Raises:
        RequestError: where the bundle lacks a tokenizer, or its file is unreadable.
    """
    encoders = bundle.family.text_encoders
    return {encoder.name: PromptTokenizer(bundle, str(encoder.tokenizer)) for encoder in encoders}


class PromptTokenizer:
    """A tokenizer of a bundle, with the length and the padding that the manifest states.

    Raises:
        RequestError: where the bundle has no such tokenizer, or its file is unreadable.
    """

    def __init__(self, bundle: Bundle, name: str) -> None:
        entry = bundle.manifest.tokenizers.get(name)
        if entry is None:
            raise RequestError(f"{bundle.folder} has no {name}", "export it anew, with its text encoder")
        paths = [file.path for file in entry.files if PurePosixPath(file.path).name == "tokenizer.json"]
        if not paths:
            raise RequestError(f"{bundle.folder}: {name} has no tokenizer.json", "export it anew")
        self._length, self._pad_id = entry.length, entry.pad_id
        self._tokenizer = _load(bundle, paths[0])

    def encode(self, prompt: str) -> Tokens:
        """Tokenize `prompt`, and cut or pad it to the length (`padding="max_length", truncation=True`)."""
        encoding = self._tokenizer.encode(prompt)
        ids, cut = encoding.ids, ""
        if len(ids) > self._length:
            first_cut = self._length - 1  # the end token has the last place
            cut = prompt[encoding.offsets[first_cut][0] :]
            ids = [*ids[:first_cut], ids[-1]]
        padded = ids + [self._pad_id] * (self._length - len(ids))
        return Tokens(np.array([padded], np.int32), cut)  # [1, length]


def _load(bundle: Bundle, path: str) -> tokenizers.Tokenizer:
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(bundle.folder / path))
    except Exception as error:  # the library raises nothing narrower
        raise RequestError(f"{bundle.folder / path} is not a tokenizer ({error})", "export it anew") from error
    # Some published files cut and pad by themselves, with another token than the text encoder expects.

    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
