from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import CLIPTokenizer

from turbo_webnn.models.vocabulary import END, START, write_vocabulary

PUBLISHED_SIZE = 49408


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_vocabulary(folder, PUBLISHED_SIZE)
    return folder


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(folder)


def test_the_ids_are_the_published_ones(folder: Path) -> None:
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    assert len(vocabulary) == PUBLISHED_SIZE
    assert sorted(vocabulary.values()) == list(range(PUBLISHED_SIZE))
    published = {"!": 0, "a": 64, "!</w>": 256, "a</w>": 320, START: 49406, END: 49407}
    assert {word: vocabulary[word] for word in published} == published


def test_every_merge_makes_a_word(folder: Path) -> None:
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    version, *merges = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    assert version == "#version: 0.2"
    assert len(merges) == len(set(merges)) == PUBLISHED_SIZE - 512 - 2
    for merge in merges:
        first, second = merge.split(" ")
        assert {first, second, first + second} <= vocabulary.keys()


@pytest.mark.parametrize("text", ["a cat on a mat", "naïve café, 3 €", "猫 on a マット", "🐈‍⬛!", "ß\u0301 أ ไ"])
def test_any_text_comes_back(tokenizer: CLIPTokenizer, text: str) -> None:
    ids = tokenizer(text)["input_ids"]
    assert (ids[0], ids[-1]) == (49406, 49407)
    assert max(ids[1:-1]) < 49406
    back = tokenizer.decode(ids, skip_special_tokens=True)
    assert back.replace(" ", "") == tokenizer.backend_tokenizer.normalizer.normalize_str(text).replace(" ", "")


def test_a_prompt_is_padded_to_its_length(tokenizer: CLIPTokenizer) -> None:
    ids = tokenizer("a cat", padding="max_length", max_length=77, truncation=True)["input_ids"]
    assert len(ids) == 77
    assert len(tokenizer("cat " * 200, max_length=77, truncation=True)["input_ids"]) == 77


def test_frequent_pairs_become_one_token(tokenizer: CLIPTokenizer) -> None:
    assert len(tokenizer("ab")["input_ids"]) == 3
    assert len(tokenizer("abc abc")["input_ids"]) == 4
