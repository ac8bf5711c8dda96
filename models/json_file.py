"""Reading of JSON into typed values, with errors that state the position; deterministic writing of JSON.

All JSON that another process or project wrote is read by this module: configs, manifests, indexes, recipes, and the
output lines of other processes. msgspec decodes it directly into dataclasses.
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

MAX_BYTES = 64 << 20
"""The largest size of a JSON file in bytes; the largest known one is a tokenizer of about 4 MB."""

_COPY = "copy or download it anew"


@overload
def read_json(path: Path) -> dict[str, Any]: ...
@overload
def read_json(path: Path, kind: type[Value], right: str = ...) -> Value: ...
def read_json(path: Path, kind: Any = None, right: str = _COPY) -> Any:
    """Read the file at `path` as a value of type `kind`.

    Args:
        path: the file to read.
        kind: the type of the value; a JSON object where None.
        right: the advice of the error message.

    Raises:
        RequestError: where the file is missing, too long, or has no such value; it states the position.
    """
    try:
        if not path.is_file():
            missing = not path.exists()
            raise RequestError(f"{path} is {'missing' if missing else 'no file'}", "give a complete folder")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise RequestError(f"{path} has more than {MAX_BYTES} bytes, which no such file has", right)
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror})", right) from error
    return parse_json(data, kind or dict[str, Any], str(path), right)


def parse_json(data: bytes | str, kind: type[Value], where: str, right: str = _COPY) -> Value:
    """Parse `data` as a value of type `kind`.

    Args:
        data: the JSON text.
        kind: the type of the value.
        where: the origin of `data`, for messages.
        right: the advice of the error message.

    Raises:
        RequestError: where `data` has another form.
    """
    try:
        value = msgspec.json.decode(data, type=kind, dec_hook=_decode_other)
        json.loads(data, object_pairs_hook=_require_unique)  # msgspec uses the last of two equal keys
    except msgspec.ValidationError as error:
        _require_finite(data, where)
        raise _form_error(where, error, right) from error
    except (ValueError, RecursionError) as error:  # malformed, no UTF-8, nested without end
        _require_finite(data, where)
        raise RequestError(f"{where} is not readable JSON ({printable(str(error))})", right) from error
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from error
    return value


def convert_json(value: Any, kind: type[Value], where: str, right: str = _COPY) -> Value:
    """Convert `value`, a result of `json.loads`, to type `kind`.

    Raises:
        RequestError: where it has another form.
    """
    try:
        return msgspec.convert(value, kind, str_keys=True, dec_hook=_decode_other)
    except msgspec.ValidationError as error:
        raise _form_error(where, error, right) from error
    except RequestError as error:
        raise RequestError(f"{where}: {error}") from error


def require_same_keys(value: Any, parsed: Any, where: str, right: str = _COPY) -> None:
    """Refuse `value` where its keys differ from those of `parsed`, the same document after parsing and `to_json`.

    Raises:
        RequestError: names the first such key.
    """
    parsed = msgspec.to_builtins(parsed, str_keys=True)
    for first, second, statement in ((value, parsed, "holds the unknown"), (parsed, value, "lacks")):
        key = _missing_key(first, second)
        if key is not None:
            raise RequestError(f"{where} {statement} {key}", right)


def json_bytes(value: Any) -> bytes:
    """Encode `value` in the form of this project's files: indented, keys in their order, with a final newline.

    Raises:
        ValueError: where it contains NaN or an infinite number, which JSON does not have.
    """
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` in the form of `json_bytes`, and create the parent folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json_bytes(value))


def _decode_other(kind: type, value: Any) -> Any:
    """Decode a value of a type that JSON does not have."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"expected a {kind.__name__}, got {type(value).__name__}")


def _missing_key(first: Any, second: Any) -> str | None:
    """The path of the first key of `first` that `second` lacks, such as `size.height`."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key, value in first.items():
            if key not in second:
                return str(key)
            inner_key = _missing_key(value, second[key])
            if inner_key is not None:
                return f"{key}.{inner_key}"
    elif isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        return next((key for pair in zip(first, second, strict=False) if (key := _missing_key(*pair))), None)
    return None


def _form_error(where: str, error: msgspec.ValidationError, right: str) -> RequestError:
    return RequestError(f"{where} is not of the right form ({_readable(error)})", right)


def _readable(error: Exception) -> str:
    """The message of msgspec with the path in plain form: `size.height` in place of `$.size.height`."""
    return printable(str(error).replace("`$.", "`").replace("`$`", "the top").replace("`$", "`").replace("`", ""))


def _require_unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of `pairs`; raises ValueError for a repeated key, which parsers treat differently."""
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"an object has the key {next(key for key in keys if keys.count(key) > 1)!r} twice")
    return value


def _require_finite(data: bytes | str, where: str) -> None:
    """Raise a clear error for values that Python's parser accepts and msgspec refuses.

    Raises:
        RequestError: names the first number that is not finite, or states that text is not valid Unicode.
    """
    try:
        value = json.loads(data)
        for key_path, number in _numbers(value, ""):
            if not math.isfinite(number):
                raise RequestError(f"{where} has {printable(key_path)} = {number}", "give a finite number")
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise RequestError(f"{where} has text with half of a surrogate pair", "write it as UTF-8") from error
    except (ValueError, RecursionError):  # Python refuses it too
        return


def _numbers(value: Any, key_path: str) -> Iterator[tuple[str, float]]:
    """The floats in `value` with their paths, such as `size.height`."""
    if isinstance(value, float):
        yield key_path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _numbers(inner, f"{key_path}.{key}" if key_path else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _numbers(inner, f"{key_path}[{index}]")
