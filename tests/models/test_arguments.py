from __future__ import annotations

from numbers import Real
from pathlib import Path
from types import UnionType

import numpy as np
import pytest

from tests.refusal import refusal
from turbo_webnn.models.arguments import Whole, require_texts, require_types, require_unicode


@pytest.mark.parametrize(
    ("value", "kind", "right"),
    [
        ("1", Whole, "give a whole number"),
        (1.0, Whole, "give a whole number"),
        (True, Whole, "give a whole number"),
        ("half", Real, "give a number"),
        (None, Real, "give a number"),
        (3, str | Path, "give text or Path"),
        (b"a cat", str, "give text"),
        ([], Whole | None, "give a whole number or None"),
    ],
)
def test_another_type_is_told(value: object, kind: type | UnionType, right: str) -> None:
    said = refusal(require_types, fine=(1, int), seed=(value, kind))
    assert said == f"seed is {value!r} (a {type(value).__name__}); {right}"


def test_the_right_types_pass() -> None:
    require_types(
        a=(1, Whole),
        b=(np.int64(1), Whole),
        c=(1, Real),
        d=(np.float32(1), Real),
        e=(None, Path | None),
        f=(True, bool),
    )
    require_texts(a=[], b=("unet",), c={"unet"})
    require_unicode(a="猫 🐈")


def test_long_values_are_cut() -> None:
    assert len(refusal(require_types, seed=("x" * 10**6, Whole))) < 120


@pytest.mark.parametrize("value", ["unet", b"unet", ["unet", 1], None, 3])
def test_what_is_no_list_of_texts(value: object) -> None:
    assert refusal(require_texts, components=value).startswith(f"components is {value!r} (a ")


def test_half_a_character_is_told() -> None:
    said = refusal(require_unicode, prompt="a\udcffb")
    assert said == r"prompt holds '\udcff', which is no character; give it in UTF-8"
