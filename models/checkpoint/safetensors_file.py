"""The header of a safetensors file: the names, types, shapes and positions of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors

from turbo_webnn.models.checkpoint.tensor import StoredTensor
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import convert_json, parse_json
from turbo_webnn.models.printable import printable

_COPY = "copy or download it anew"

_LENGTH_BYTES = 8
"""A file starts with the length of its header, little-endian."""


@dataclass(frozen=True)
class Header:
    """The header of a file: its tensors by name, and the texts that its writer added."""

    tensors: Mapping[str, StoredTensor]
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Entry:
    """The entry of a tensor in the header of a safetensors file."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def read_header(path: Path) -> Header:
    """Read the header of the file `path`.

    Raises:
        RequestError: if the file is truncated, corrupt or no safetensors file, or names a tensor twice.
    """
    try:
        with safetensors.safe_open(path, framework="numpy"):  # checks the header against the file's length
            pass
        with path.open("rb") as file:
            data = file.read(int.from_bytes(file.read(_LENGTH_BYTES), "little"))
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise RequestError(f"{path} is truncated or corrupt ({printable(str(error))})", _COPY) from error
    where = f"the header of {path}"
    # parse_json refuses a repeated name; safetensors silently uses the last one
    header = parse_json(data, dict[str, Any], where, _COPY)
    metadata = convert_json(header.pop("__metadata__", None) or {}, dict[str, str], where, _COPY)
    entries = convert_json(header, dict[str, _Entry], where, _COPY)
    start = _LENGTH_BYTES + len(data)
    tensors = {
        name: StoredTensor(name, entry.dtype, entry.shape, path, start + entry.data_offsets[0])
        for name, entry in entries.items()
    }
    return Header(tensors, metadata)
