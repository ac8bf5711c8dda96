"""Damage to a safetensors file: to its header, to the header's length, to numbers in its tensors."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from turbo_webnn.scripts.fuzz.mutations.json_documents import mutate_json, mutate_json_bytes
from turbo_webnn.scripts.fuzz.mutations.plain_bytes import mutate_bytes

_LENGTH_BYTES = 8

_NOT_FINITE = {"F32": (b"\0\0\xc0\x7f", b"\0\0\x80\x7f"), "F16": (b"\0\x7e", b"\0\x7c"), "BF16": (b"\xc0\x7f",)}
"""NaN and infinity, little-endian, by the type of a tensor."""

_TYPES = ("F64", "F32", "F16", "BF16", "I64", "I32", "U8", "BOOL", "F8_E4M3", "F4", "Q9", "")


def mutate_safetensors_bytes(rng: Random, data: bytes) -> bytes:
    """Damage the safetensors file `data` once."""
    try:
        length = int.from_bytes(data[:_LENGTH_BYTES], "little")
        header = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length])
        body = data[_LENGTH_BYTES + length :]
        names = [name for name, entry in header.items() if isinstance(entry, dict) and "dtype" in entry]
    except (ValueError, AttributeError, RecursionError, OverflowError):  # damaged by an earlier mutation
        return mutate_bytes(rng, data)
    if not names:
        return mutate_bytes(rng, data)
    return rng.choice(_KINDS)(rng, header, rng.choice(names), body)


def _file(header: Any, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + body


def _structure(rng: Random, header: dict[str, Any], _name: str, body: bytes) -> bytes:
    return _file(mutate_json(rng, header), body)


def _text(rng: Random, header: dict[str, Any], _name: str, body: bytes) -> bytes:
    return _file(mutate_json_bytes(rng, json.dumps(header).encode()), body)


def _length(rng: Random, header: dict[str, Any], _name: str, body: bytes) -> bytes:
    length = rng.choice((0, 1, 2**31, 2**62, 2**64 - 1, len(body)))
    return length.to_bytes(_LENGTH_BYTES, "little") + _file(header, body)[_LENGTH_BYTES:]


def _entry(rng: Random, header: dict[str, Any], name: str, body: bytes) -> bytes:
    entry = header[name]
    key = rng.choice(("dtype", "shape", "data_offsets"))
    if key == "dtype":
        entry[key] = rng.choice(_TYPES)
    elif key == "shape":
        shape = list(entry.get("shape", ()))
        entry[key] = rng.choice((shape[::-1], [*shape, 1], [1, *shape], [], [2**40, 2**40], [-1, *shape[1:]], [0]))
    else:
        begin, end = (*entry.get("data_offsets", ()), 0, 0)[:2]
        entry[key] = rng.choice(([end, begin], [begin, end + 4], [begin - 4, end], [0, 2**63], [begin, begin], [begin]))
    return _file(header, body)


def _rename(rng: Random, header: dict[str, Any], name: str, body: bytes) -> bytes:
    header[rng.choice((f"{name}.extra", name.upper(), "", "__metadata__", f"model.{name}"))] = header.pop(name)
    return _file(header, body)


def _swap(rng: Random, header: dict[str, Any], name: str, body: bytes) -> bytes:
    other = rng.choice(list(header))
    header[name], header[other] = header[other], header[name]
    return _file(header, body)


def _remove(_rng: Random, header: dict[str, Any], name: str, body: bytes) -> bytes:
    del header[name]
    return _file(header, body)


def _not_finite(rng: Random, header: dict[str, Any], name: str, body: bytes) -> bytes:
    entry = header[name]
    value = rng.choice(_NOT_FINITE.get(entry["dtype"], (b"\0",)))
    begin, end = entry["data_offsets"]
    count = rng.choice((1, (end - begin) // len(value)))
    return _file(header, body[:begin] + value * count + body[begin + len(value) * count :])


def _body(rng: Random, header: dict[str, Any], _name: str, body: bytes) -> bytes:
    return _file(header, mutate_bytes(rng, body))


_KINDS: tuple[Callable[[Random, dict[str, Any], str, bytes], bytes], ...] = (
    _structure,
    _structure,
    _text,
    _length,
    _entry,
    _entry,
    _rename,
    _swap,
    _remove,
    _not_finite,
    _body,
)
