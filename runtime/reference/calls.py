"""The calls of a module's method: they are watched while code of a library makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

CallWatch = Callable[[Sequence[Any], Mapping[str, Any], Any], Any]
"""Receives the positional arguments, the keyword arguments and the result of a call; returns what the caller gets."""


@contextmanager
def watch_calls(module: Any, method: str, watch: CallWatch) -> Iterator[None]:
    """Give every call of `module.method` in the block to `watch`.

    The method is replaced on the object, because torch has hooks for `forward` alone, and pipelines call `decode` and
    `encode` of a VAE.
    """
    original = getattr(module, method)

    def watched(*arguments: Any, **named: Any) -> Any:
        return watch(arguments, named, original(*arguments, **named))

    setattr(module, method, watched)
    try:
        yield
    finally:
        delattr(module, method)  # the class's method is visible again
