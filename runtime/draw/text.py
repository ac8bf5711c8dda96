"""Prompts to token ids, without transformers."""

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
    """A prompt as a text encoder takes it.

    Attributes:
        ids: int32 [1, length]: start, the prompt, end, padding.
        cut: what did not fit, as it stands in the prompt; empty where all of it did.
    """

    ids: NDArray[np.int32]
    cut: str = ""


def tokenizers_of(bundle: Bundle) -> dict[str, PromptTokenizer]:
    """The tokenizers of `bundle` by the text encoder that reads their ids, in the order of the family.

    Raises:
        RequestError: where the bundle lacks one, or a file is unreadable.
    """
    encoders = bundle.family.text_encoders
    return {encoder.name: PromptTokenizer(bundle, str(encoder.tokenizer)) for encoder in encoders}


class PromptTokenizer:
    """One of a bundle's tokenizers, with the length and the padding that its manifest states.

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
        """The ids of `prompt`, cut or padded to the length (`padding="max_length", truncation=True`)."""
        encoding = self._tokenizer.encode(prompt)
        ids, cut = encoding.ids, ""
        if len(ids) > self._length:
            first_lost = self._length - 1  # the last place is the end token's
            cut = prompt[encoding.offsets[first_lost][0] :]
            ids = [*ids[:first_lost], ids[-1]]
        padded = ids + [self._pad_id] * (self._length - len(ids))
        return Tokens(np.array([padded], np.int32), cut)  # [1, length]


def _load(bundle: Bundle, path: str) -> tokenizers.Tokenizer:
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(bundle.folder / path))
    except Exception as error:  # the library raises nothing narrower
        raise RequestError(f"{bundle.folder / path} is not a tokenizer ({error})", "export it anew") from error
    # A published file may cut and pad on its own, with another token than the text encoder expects.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
