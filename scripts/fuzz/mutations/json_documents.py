"""Damage to a JSON document that is still almost JSON: wrong types, huge and non-finite numbers, deep nesting."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

from turbo_webnn.scripts.fuzz.mutations.plain_bytes import mutate_bytes

_DEEP = 100_000
"""A number of brackets that is too deep for recursion."""

_DIGITS = 5000
"""More digits than Python converts to an integer."""

WEIRD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 0.5, -0.5, 1e-308, 1e308, 2**31, 2**63, -(2**63), 10**30),
    *(float("nan"), float("inf"), float("-inf")),
    *("", "a", "NaN", "1", "\0", "\ud800", "é" * 40, "../../etc/passwd", "/etc/passwd", "x" * 10_000, "a\nb"),
    *([], {}, [None], [[]], [0] * 1000, {"": None}, ["a", 1], {"a": {"b": []}}, [-1, 0], [1e300, 1]),
)
"""Unusual values that replace others: each of a kind that a reader may not expect."""


def mutate_json(rng: Random, document: Any) -> Any:
    """Copy `document` with one change at a random position."""
    changed = copy.deepcopy(document)
    positions = list(_positions(changed))
    if not positions:
        return rng.choice(WEIRD)
    parent, key = rng.choice(positions)
    change = rng.random()
    if change < 0.55:
        parent[key] = copy.deepcopy(rng.choice(WEIRD))
    elif change < 0.7:
        del parent[key]
    elif change < 0.8 and isinstance(parent, dict):
        parent[rng.choice(("unknown", "", "__class__", f"{key} ", "\ud800"))] = parent.pop(key)
    elif change < 0.9:
        other_parent, other_key = rng.choice(positions)
        parent[key] = copy.deepcopy(other_parent[other_key]) if other_key in _keys(other_parent) else None
    else:
        parent[key] = [copy.deepcopy(parent[key])] * rng.choice((1, 2, 50))
    return changed


def mutate_json_bytes(rng: Random, data: bytes) -> bytes:
    """Damage the JSON file `data` once: its structure, its text, or its bytes."""
    if rng.random() < 0.2:
        return rng.choice(_TEXTS)(rng, data)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):  # damaged by an earlier mutation
        return mutate_bytes(rng, data)
    return json.dumps(mutate_json(rng, document)).encode()


def _positions(document: Any) -> Any:
    """All pairs of a container and a key in `document`."""
    for key in _keys(document):
        yield document, key
        yield from _positions(document[key])


def _keys(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value)
    return list(range(len(value))) if isinstance(value, list) else []


def _value_at_a_colon(rng: Random, data: bytes, value: bytes) -> bytes:
    """Replace the value after a random colon in `data` by `value`."""
    colons = [i for i, byte in enumerate(data) if byte == ord(":")]
    if not colons:
        return value
    at = rng.choice(colons) + 1
    end = min((i for i in (data.find(b",", at), data.find(b"}", at)) if i >= 0), default=len(data))
    return data[:at] + value + data[end:]


def _deep_list(rng: Random, data: bytes) -> bytes:
    return _value_at_a_colon(rng, data, b"[" * _DEEP + b"]" * _DEEP)


def _deep_object(rng: Random, data: bytes) -> bytes:
    return _value_at_a_colon(rng, data, b'{"a":' * _DEEP + b"0" + b"}" * _DEEP)


def _unclosed(_rng: Random, _data: bytes) -> bytes:
    return b"[" * _DEEP


def _giant_integer(rng: Random, data: bytes) -> bytes:
    return _value_at_a_colon(rng, data, b"9" * _DIGITS)


def _giant_exponent(rng: Random, data: bytes) -> bytes:
    return _value_at_a_colon(rng, data, b"1e999999")


def _not_utf8(rng: Random, data: bytes) -> bytes:
    return _value_at_a_colon(rng, data, b'"\xff\xfe"')


def _marked(_rng: Random, data: bytes) -> bytes:
    return b"\xef\xbb\xbf" + data


def _other_encoding(_rng: Random, data: bytes) -> bytes:
    return data.decode(errors="replace").encode("utf-16")


def _other_top(rng: Random, _data: bytes) -> bytes:
    return rng.choice((b"", b"null", b"[]", b"0", b'"text"', b"NaN", b"{}", b"[{}]"))


_TEXTS: tuple[Callable[[Random, bytes], bytes], ...] = (
    _deep_list,
    _deep_object,
    _unclosed,
    _giant_integer,
    _giant_exponent,
    _not_utf8,
    _marked,
    _other_encoding,
    _other_top,
    mutate_bytes,
)
