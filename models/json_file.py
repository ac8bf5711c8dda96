"""JSON from elsewhere, read into typed values with errors that say where; JSON of ours, written the same each time.

Everything that this project reads and did not make itself in the same process comes through here: configs, manifests,
indexes, recipes, and the lines of other processes. msgspec decodes it straight into dataclasses.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import msgspec

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.printable import printable

Value = TypeVar("Value")

LONGEST = 64 << 20
"""Bytes that a JSON file may have: the largest that is read is a tokenizer's, of some 4 MB."""

_COPY = "copy or download it anew"


@overload
def read_json(path: Path) -> dict[str, Any]: ...
@overload
def read_json(path: Path, kind: type[Value], right: str = ...) -> Value: ...
def read_json(path: Path, kind: Any = None, right: str = _COPY) -> Any:
    """The value of type `kind` that the file at `path` holds; an object of anything where no type is given.

    Args:
        path: the file to read.
        kind: the type of the value; a JSON object where None.
        right: what would be right where the file holds something else.

    Raises:
        RequestError: where the file is missing or too long, or does not hold such a value: it says where.
    """
    try:
        if not path.is_file():
            missing = not path.exists()
            raise RequestError(f"{path} is {'missing' if missing else 'no file'}", "give a complete folder")
        with path.open("rb") as file:
            data = file.read(LONGEST + 1)
        if len(data) > LONGEST:
            raise RequestError(f"{path} has more than {LONGEST} bytes, which no such file has", right)
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror})", right) from error
    return parse_json(data, kind or dict[str, Any], str(path), right)


def parse_json(data: bytes | str, kind: type[Value], where: str, right: str = _COPY) -> Value:
    """The value of type `kind` that `data` holds, which is said to come from `where`.

    Raises:
        RequestError: where it holds something else.
    """
    try:
        value = msgspec.json.decode(data, type=kind, dec_hook=_other)
        json.loads(data, object_pairs_hook=_require_unique)  # msgspec takes the last of two equal keys
    except msgspec.ValidationError as error:
        _require_plain(data, where)
        raise _misfit(where, error, right) from error
    except (ValueError, RecursionError) as error:  # malformed, no UTF-8, nested without end
        _require_plain(data, where)
        raise RequestError(f"{where} is not readable JSON ({printable(str(error))})", right) from error
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from error
    return value


def convert_json(value: Any, kind: type[Value], where: str, right: str = _COPY) -> Value:
    """`value`, an object as `json.loads` gives it, as a value of type `kind`.

    Raises:
        RequestError: where it is something else.
    """
    try:
        return msgspec.convert(value, kind, str_keys=True, dec_hook=_other)
    except msgspec.ValidationError as error:
        raise _misfit(where, error, right) from error
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from error


def require_same_keys(value: Any, known: Any, where: str, right: str = _COPY) -> None:
    """Refuse `value` where it has a key that `known`, its own reading in the form of `to_json`, has not, or lacks one.

    Raises:
        RequestError: names the first such key.
    """
    known = msgspec.to_builtins(known, str_keys=True)
    for one, other, what in ((value, known, "holds the unknown"), (known, value, "lacks")):
        key = _key_of_one(one, other)
        if key is not None:
            raise RequestError(f"{where} {what} {key}", right)


def json_bytes(value: Any) -> bytes:
    """`value` as the files of this project hold it: indented, keys in the order given, ending in a newline.

    Raises:
        ValueError: where it holds NaN or an infinite number, which no JSON parser reads.
    """
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` as `json_bytes` gives it, and make the folders above."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json_bytes(value))


def _other(kind: type, value: Any) -> Any:
    """A value of a type that JSON has not."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"expected a {kind.__name__}, got {type(value).__name__}")


def _key_of_one(one: Any, other: Any) -> str | None:
    """The first key of `one`, as `size.height`, that `other` has not."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key, value in one.items():
            if key not in other:
                return str(key)
            below = _key_of_one(value, other[key])
            if below is not None:
                return f"{key}.{below}"
    elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return next((key for pair in zip(one, other, strict=False) if (key := _key_of_one(*pair))), None)
    return None


def _misfit(where: str, error: msgspec.ValidationError, right: str) -> RequestError:
    return RequestError(f"{where} is not of the right form ({_plain(error)})", right)


def _plain(error: Exception) -> str:
    """The message of msgspec, with the place in the words of the file: `size.height` in place of `$.size.height`."""
    return printable(str(error).replace("`$.", "`").replace("`$`", "the top").replace("`$", "`").replace("`", ""))


def _require_unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The object of `pairs`; ValueError where two have one key, of which each parser takes another."""
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"an object has the key {next(key for key in keys if keys.count(key) > 1)!r} twice")
    return value


def _require_plain(data: bytes | str, where: str) -> None:
    """Refuse, in plain words, what Python's own parser takes and msgspec does not.

    Raises:
        RequestError: names the first number that JSON lacks or no float is, or says that text is no Unicode.
    """
    try:
        value = json.loads(data)
        for place, number in _numbers(value, ""):
            if not math.isfinite(number):
                raise RequestError(f"{where} has {printable(place)} = {number}", "give a finite number")
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise RequestError(f"{where} has text with half of a surrogate pair", "write it as UTF-8") from error
    except (ValueError, RecursionError):  # Python does not take it either
        return


def _numbers(value: Any, place: str) -> Iterator[tuple[str, float]]:
    """The floats in `value`, each with its place, as `size.height`."""
    if isinstance(value, float):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _numbers(inner, f"{place}[{index}]")
