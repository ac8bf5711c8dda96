"""Arguments of the Python API, checked where they come in: a wrong type is told as any other mistake of a request."""

from __future__ import annotations

from collections.abc import Collection
from types import UnionType
from typing import SupportsIndex, cast

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.printable import printable

Whole = SupportsIndex
"""A whole number, of Python or numpy."""

_NAMES = {"SupportsIndex": "a whole number", "Real": "a number", "NoneType": "None", "str": "text"}
"""What types are called in messages, where that is not their own name."""


def require_types(**arguments: tuple[object, type | UnionType]) -> None:
    """Refuse the first argument that is not of its type.

    Args:
        arguments: by name, the value and the type or union of types that it must have.

    Raises:
        RequestError: names the argument, its value and what it may be.
    """
    for name, (value, kind) in arguments.items():
        if not isinstance(value, kind) or (isinstance(value, bool) and bool not in _members(kind)):
            names = " or ".join(_NAMES.get(member.__name__, member.__name__) for member in _members(kind))
            raise RequestError(f"{name} is {_shown(value)}", f"give {names}")


def require_texts(**arguments: object) -> None:
    """Refuse the first argument that is not a collection of texts; one text alone is none.

    Raises:
        RequestError: names the argument and its value.
    """
    for name, value in arguments.items():
        listed = isinstance(value, Collection) and not isinstance(value, (str, bytes))
        if not listed or not all(isinstance(text, str) for text in cast("Collection[object]", value)):
            raise RequestError(f"{name} is {_shown(value)}", "give a list of texts")


def require_unicode(**texts: str) -> None:
    """Refuse the first text that holds half a character, as undecodable bytes of a command line become.

    Raises:
        RequestError: names the argument and its text.
    """
    for name, text in texts.items():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            wrong = f"{name} holds {text[error.start]!r}, which is no character"
            raise RequestError(wrong, "give it in UTF-8") from error


def _members(kind: type | UnionType) -> tuple[type, ...]:
    return kind.__args__ if isinstance(kind, UnionType) else (kind,)


def _shown(value: object) -> str:
    return f"{printable(repr(value), 60)} (a {type(value).__name__})"
