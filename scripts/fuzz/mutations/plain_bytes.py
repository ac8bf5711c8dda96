"""Damage to a file of any kind, as from disks, networks and editors."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

_LONGEST = 4096
"""The largest number of consecutive bytes that are zeroed, doubled or dropped."""


def mutate_bytes(rng: Random, data: bytes) -> bytes:
    """Damage `data` once, in a random way."""
    return rng.choice(_KINDS)(rng, data)


def _span(rng: Random, data: bytes) -> tuple[int, int]:
    """The start and the end of a random run of bytes."""
    begin = rng.randrange(len(data) + 1)
    return begin, min(len(data), begin + rng.randint(1, _LONGEST))


def _flip(rng: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 8, 64)) if data else 0):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _truncate(rng: Random, data: bytes) -> bytes:
    return data[: rng.choice((0, 1, 8, len(data) // 2, max(0, len(data) - 1), rng.randrange(len(data) + 1)))]


def _zero(rng: Random, data: bytes) -> bytes:
    begin, end = _span(rng, data)
    return data[:begin] + bytes(end - begin) + data[end:]


def _drop(rng: Random, data: bytes) -> bytes:
    begin, end = _span(rng, data)
    return data[:begin] + data[end:]


def _double(rng: Random, data: bytes) -> bytes:
    begin, end = _span(rng, data)
    return data[:end] + data[begin:end] + data[end:]


def _append(rng: Random, data: bytes) -> bytes:
    return data + rng.choice((b"\0", b"\n", b"{}", b"garbage" * 100))


def _swap_halves(_rng: Random, data: bytes) -> bytes:
    return data[len(data) // 2 :] + data[: len(data) // 2]


_KINDS: tuple[Callable[[Random, bytes], bytes], ...] = (
    _flip,
    _flip,
    _truncate,
    _zero,
    _drop,
    _double,
    _append,
    _swap_halves,
)
