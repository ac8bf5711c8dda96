"""Token ids by transformers' tokenizers, as diffusers' pipelines make them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from turbo_webnn.models.parts.clip_text import TOKENS
from turbo_webnn.runtime.draw.conditions import TokenIds


def tokenize(tokenizers: Mapping[str, Any], prompt: str) -> TokenIds:
    """Tokenize `prompt`.

    Args:
        tokenizers: by the name of the text encoder.
        prompt: the text.

    Returns:
        Ids [1, 77] by the name of the text encoder.
    """
    return {
        encoder: np.array(
            [tokenizer(prompt, padding="max_length", max_length=TOKENS, truncation=True).input_ids], np.int32
        )
        for encoder, tokenizer in tokenizers.items()
    }
