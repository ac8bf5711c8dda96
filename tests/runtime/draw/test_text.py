from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.conftest import PAD_ID, MakeBundle
from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.draw.text import PromptTokenizer


@pytest.fixture
def tokenizer(make_bundle: MakeBundle) -> PromptTokenizer:
    return PromptTokenizer(make_bundle(), "tokenizer")


def test_a_prompt_is_padded_with_the_manifests_id(tokenizer: PromptTokenizer) -> None:
    tokens = tokenizer.encode("a cat")
    assert tokens.ids.dtype == "int32"
    assert tokens.ids.tolist() == [[0, 4, 5, 1, *[PAD_ID] * 4]]
    assert tokens.cut == ""


def test_an_empty_prompt(tokenizer: PromptTokenizer) -> None:
    assert tokenizer.encode("").ids.tolist() == [[0, 1, *[PAD_ID] * 6]]


def test_the_longest_prompt_that_fits(tokenizer: PromptTokenizer) -> None:
    tokens = tokenizer.encode("a a a a a cat")
    assert tokens.ids.tolist() == [[0, 4, 4, 4, 4, 4, 5, 1]]
    assert tokens.cut == ""


def test_a_prompt_too_long_is_cut_and_says_what_was_lost(tokenizer: PromptTokenizer) -> None:
    tokens = tokenizer.encode("a a a a a cat on a mat")
    assert tokens.ids.tolist() == [[0, 4, 4, 4, 4, 4, 5, 1]]
    assert tokens.cut == "on a mat"


def test_a_file_that_is_no_tokenizer(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    Path(bundle.folder, "tokenizer/tokenizer.json").write_text("{}")
    with pytest.raises(RequestError, match="not a tokenizer"):
        PromptTokenizer(bundle, "tokenizer")


def test_a_tokenizer_that_is_not_there(make_bundle: MakeBundle) -> None:
    with pytest.raises(RequestError, match="has no tokenizer_2"):
        PromptTokenizer(make_bundle(), "tokenizer_2")
