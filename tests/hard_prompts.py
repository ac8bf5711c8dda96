"""Prompts that tokenizers read differently: Unicode's special cases, special tokens as text, and long prompts."""

from __future__ import annotations

import sys
import unicodedata
from itertools import product

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

_WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2003\u2007\u200a\u2028\u2029\u202f\u205f\u3000"
_ZERO_WIDTH = "\u180e\u200b\u200c\u200d\u2060\ufeff\xad\u200e\u202e"
_CONTROLS = "".join(map(chr, [*range(0x20), 0x7F, 0x80, 0x85, 0x9F]))

_SPECIAL = ["<|startoftext|>", "<|endoftext|>", "<|ENDOFTEXT|>", "<|EndOfText|>", "<|STARTOFTEXT|>", "!", "！"]
_AROUND = ["{}", " {} ", "a cat {} on a mat", "cat{}mat", "!{}!", "{}{}", "{} {}", "{}'s", "1{}2", "<|{}|>", "\ufeff{}"]

_TEXTS = [
    *("", " ", "\t\n ", "\u3000", "\ufeff", "\u200b", "!", "!!!", "a cat!", "a cat !"),
    *("?!?!?!...", "((a cat:1.3)), [mat]"),
    *("🦊", "👩‍👩‍👧‍👦 family", "👍🏽👍🏿", "🏳️‍🌈🇬🇷🇹🇷", "☺️☺︎", "1️⃣2️⃣", "𝒜 𝔘𝔫𝔦 𐐀𐐨 𠮷野家", "🐈‍⬛!"),
    *("狐が雪の中で", "雪中的狐狸", "한국어 고양이", "\u1112\u1161\u11ab\u1100\u1173\u11af"),
    *("ﾊﾝｶｸ", "ＦＵＬＬ　ｗｉｄｔｈ １２３"),
    *("café naïve", "cafe\u0301 nai\u0308ve", "a\u0323\u0307 a\u0307\u0323 \u1e69 s\u0323\u0307", "\u0301cat", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍"),
    *("İstanbul I ı i i̇", "DİYARBAKIR ışık", "STRASSE Straße STRAẞE ẞ ß", "ǅ ǆ Ǆ ᾈ ᾳ ΑΙ", "K Å Ω"),
    *("<|ENDOFTEXT|><|startoftext|>", "<|startoftext|><|ENDOFTEXT|>!", "<|STARTOFTEXT|><|ENDOFTEXT|>x"),
    *("ΟΔΟΣ", "ΟΔΥΣΣΕΥΣ ΚΑΙ ΣΟΦΟΣ", "Σ", "ΑΣ ΑΣ. ΑΣ'Α ΣΑ", "οδος οδοσ", "ΣΣ\u0301Σ"),
    *("ΟΔΟΣ<|endoftext|>ΟΔΟΣ", "ΑΣ\xadΑ"),
    *("قطة على سجادة ١٢٣", "แมวบนเสื่อ ๑๒๓", "हिन्दी बिल्ली १२३", "עִבְרִית", "Ⅷ ⅷ ½ ² ₂ ㊿ 𝟘", "12345 3.14 1,000"),
    *("a &amp; b", "&amp;amp;", "it&#39;s &quot;quoted&quot; &lt;b&gt;", "“curly” ‘quotes’ it’s"),
    *("ﬁne oﬀer ﬃ", "schÃ¶n â€™"),
    *("it's IT'S It'S they'LL we'Re I'M you'VE he'D don'T", "'s's'''t 'll'", "rock 'n' roll", "o'clock's"),
    *("cat " * 80, "cat! " * 60, "a " * 76, "a " * 75, "a " * 74, "ΟΔΟΣ " * 40, "🦊" * 60, "! " * 90, "cat\u3000" * 90),
    *("a" * 300, "cat" * 400, "Σ" * 300, "é" * 256, "!" * 300, "?" * 300, "1" * 100, "x" * 255, "x" * 256, "x" * 257),
]

HARD = [
    *_TEXTS,
    *(around.replace("{}", token) for around, token in product(_AROUND, _SPECIAL)),
    *(f"a{char}cat!{char}?{char}" for char in _WHITE_SPACE + _ZERO_WIDTH + _CONTROLS),
]
"""Chosen by hand."""


def by_character() -> list[str]:
    """A prompt for every character that is neither plain nor one of many alike, beside a letter, a sign and a digit.

    Unicode's newest characters are left out: one of the readers may not know them yet.
    """
    characters = map(chr, range(sys.maxunicode + 1))
    odd = [char for char in characters if unicodedata.category(char) in _ODD or char != char.lower()]
    return [f"a{char}a?{char}?1{char} {char}" for char in odd]


_ODD = ("Lt", "Lm", "Mc", "Mn", "Me", "Nd", "Nl", "No", "Zs", "Zl", "Zp", "Cc", "Cf")
"""The categories in question; letters in upper case are found by their lower case."""

_CHARACTERS = st.characters(exclude_categories=["Cs", "Cn"])
_TRICKY = st.sampled_from("ΣσςΑα'sSİıẞß\u0301\u0345\u0307!?<|>1٣ aA" + _WHITE_SPACE + _ZERO_WIDTH)
_PARTS = st.text(_CHARACTERS, max_size=8) | st.text(_TRICKY, max_size=12) | st.sampled_from(_SPECIAL)
_RANDOM = st.lists(_PARTS, max_size=12).map("".join) | st.lists(_PARTS, max_size=40).map(" ".join)


def at_random(count: int) -> list[str]:
    """Random Unicode, the same in every run of the same code."""
    drawn: list[str] = []

    @settings(max_examples=count, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(_RANDOM)
    def draw(prompt: str) -> None:
        drawn.append(prompt)

    draw()
    return drawn
