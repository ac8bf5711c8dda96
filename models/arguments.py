"""Checks of the Python API's arguments: a wrong type raises RequestError, like any other invalid request."""

from __future__ import annotations

from collections.abc import Collection
from types import UnionType
from typing import SupportsIndex, cast

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.printable import printable

Whole = SupportsIndex
"""A whole number, of Python or numpy."""

_NAMES = {"SupportsIndex": "a whole number", "Real": "a number", "NoneType": "None", "str": "text"}
"""The names of types in messages, where they differ from `__name__`."""


def require_types(**arguments: tuple[object, type | UnionType]) -> None:
    """Refuse the first argument that is not of its type.

    Args:
        **arguments: by name, the value and its permitted type or union of types.

    Raises:
        RequestError: names the argument, its value and the permitted types.
    """
    for name, (value, kind) in arguments.items():
        if not isinstance(value, kind) or (isinstance(value, bool) and bool not in _permitted_types(kind)):
            names = " or ".join(_NAMES.get(member.__name__, member.__name__) for member in _permitted_types(kind))
            raise RequestError(f"{name} is {_description(value)}", f"give {names}")


def require_texts(**arguments: object) -> None:
    """Refuse the first argument that is not a collection of texts; a single text is not one.

    Args:
        **arguments: the values by name.

    Raises:
        RequestError: names the argument and its value.
    """
    for name, value in arguments.items():
        is_collection = isinstance(value, Collection) and not isinstance(value, (str, bytes))
        if not is_collection or not all(isinstance(text, str) for text in cast("Collection[object]", value)):
            raise RequestError(f"{name} is {_description(value)}", "give a list of texts")


def require_unicode(**texts: str) -> None:
    """Refuse the first text with a lone surrogate, which Python makes of an undecodable byte of a command line.

    Args:
        **texts: the values by name.

    Raises:
        RequestError: names the argument and its text.
    """
    for name, text in texts.items():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            wrong = f"{name} holds {text[error.start]!r}, which is no character"
            raise RequestError(wrong, "give it in UTF-8") from error


def _permitted_types(kind: type | UnionType) -> tuple[type, ...]:
    return kind.__args__ if isinstance(kind, UnionType) else (kind,)


def _description(value: object) -> str:
    return f"{printable(repr(value), 60)} (a {type(value).__name__})"
