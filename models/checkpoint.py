"""The weights of a component on disk, as tensors that are read one at a time.

Bytes are read by offset, not through a memory mapping. Pages of a mapping count as resident memory until they are
dropped, and no step of an export may keep all weights of a component in memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import convert_json, parse_json, read_json
from turbo_webnn.models.printable import printable

_COPY = "copy or download it anew"
_ANEW = "download the shards anew"

ITEM_BYTES: Mapping[str, int] = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Bytes of one number, by the name of its type in safetensors."""


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a safetensors file: the position and the type of its bytes."""

    name: str
    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int

    def blocks(self, block_bytes: int) -> Iterator[memoryview]:
        """Read its bytes in order, little-endian and row-major, in blocks of whole numbers.

        Args:
            block_bytes: the largest size of a block.

        Raises:
            RequestError: where the file is shorter than its header states.
        """
        step = max(block_bytes // ITEM_BYTES[self.dtype], 1) * ITEM_BYTES[self.dtype]
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            for start in range(0, self.nbytes, step):
                # unlike bytearray, np.empty does not fill the memory with zeros
                block = np.empty(min(step, self.nbytes - start), np.uint8).data
                self._fill(block, file)
                yield block

    def read_into(self, place: memoryview) -> None:
        """Read all its bytes to `place`, which has the same size.

        Raises:
            RequestError: as `blocks`.
        """
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            self._fill(place, file)

    def _fill(self, buffer: memoryview, file: FileIO) -> None:
        while buffer:
            count = file.readinto(buffer)
            if not count:
                raise RequestError(f"{self.path} ends inside tensor {self.name}", "copy or download the file anew")
            buffer = buffer[count:]

    def row(self, index: int) -> StoredTensor:
        """The numbers at `index` of the first axis, as a separate tensor."""
        nbytes = self.nbytes // self.shape[0]
        return replace(self, shape=self.shape[1:], offset=self.offset + index * nbytes, nbytes=nbytes)


class Checkpoint:
    """The tensors of one component, in one or more files. Only the headers are read."""

    def __init__(self, where: Path, tensors: Mapping[str, StoredTensor]) -> None:
        self.where = where
        self.tensors = tensors

    @classmethod
    def open(cls, folder: Path, stem: str, variant: str | None = None) -> Checkpoint:
        """Open `folder/stem[.variant].safetensors`, or the shards that an index in `folder` lists.

        Args:
            folder: of the component.
            stem: the start of the file name.
            variant: such as `fp16`; None for the main weights.

        Raises:
            RequestError: where the file is missing, truncated, corrupt or a pickle, or the index lists a missing
                file.
        """
        whole_path = folder / whole_name(stem, variant)
        if whole_path.is_file():
            return cls(whole_path, _tensors_in(whole_path))
        index = index_in(folder, stem, variant)
        if index is not None:
            return cls(index, _tensors_in_shards(index))
        files = [path.name for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
        raise missing_weights(folder, files, stem, variant)

    def count(self) -> int:
        """The total number of values in all tensors."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())

    def tensor(self, shape: tuple[int, ...], *keys: str) -> StoredTensor:
        """The tensor under the first existing one of `keys`.

        Args:
            shape: the required shape.
            *keys: names of the tensor, in order of preference.

        Raises:
            RequestError: where it is missing, has another shape, or is not of a floating type.
        """
        stored = next((self.tensors[key] for key in keys if key in self.tensors), None)
        if stored is None:
            raise RequestError(f"{self.where} has no tensor {keys[0]}", "the file belongs to another architecture")
        if stored.shape != shape:
            raise RequestError(
                f"{self.where}: tensor {stored.name} has shape {list(stored.shape)}",
                f"the config asks for {list(shape)}",
            )
        if stored.dtype not in ITEM_BYTES:
            raise RequestError(
                f"{self.where}: tensor {stored.name} is {stored.dtype}", f"served are {', '.join(ITEM_BYTES)}"
            )
        return stored


def whole_name(stem: str, variant: str | None) -> str:
    """The name of the file with all weights, where they are not in shards."""
    return f"{stem}.{variant}.safetensors" if variant else f"{stem}.safetensors"


def index_names(stem: str, variant: str | None) -> list[str]:
    """The possible names of an index of shards: the current one, and the older one of a variant."""
    names = [f"{whole_name(stem, variant)}.index.json"]
    return [f"{stem}.safetensors.index.{variant}.json", *names] if variant else names


def index_in(folder: Path, stem: str, variant: str | None) -> Path | None:
    """The path of the index of shards in `folder`; None where it has none."""
    paths = (folder / name for name in index_names(stem, variant))
    return next((path for path in paths if path.is_file()), None)


def shards_of(index: Path) -> dict[str, str]:
    """Read from `index` the shard of each tensor, by name.

    Raises:
        RequestError: where the file is not an index, or names a file outside its folder.
    """
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(shard, str) for shard in shards.values()):
        raise RequestError(f"{index} is not an index of shards", "copy or download it anew")
    for shard in shards.values():
        if Path(shard).name != shard or not shard.endswith(".safetensors"):
            raise RequestError(
                f"{index} names {shard!r}, which is no safetensors file beside it", "take a checkpoint you trust"
            )
    return shards


def missing_weights(where: str | Path, files: Iterable[str], stem: str, variant: str | None) -> RequestError:
    """Make the error for a folder whose `files` hold no weights of this name; it names the available ones."""
    wrong = f"{where} has no {whole_name(stem, variant)}"
    shard = r"(-\d{5}-of-\d{5})?"
    weights = re.compile(rf"{re.escape(stem)}{shard}(?:\.(?P<variant>[\w-]+?))?{shard}\.safetensors")
    files = sorted(files)
    variants = sorted({match["variant"] or "" for name in files if (match := weights.fullmatch(name))})
    if variants and variant not in variants:
        served = [f"with --variant {name}" if name else "without --variant" for name in variants]
        return RequestError(wrong, f"it has weights {' or '.join(served)}")
    if any(name.endswith((".bin", ".ckpt", ".pt", ".pth")) for name in files):
        return RequestError(
            f"{where} holds its weights as a pickle, which runs code when it is read",
            "save them as safetensors: pipe.save_pretrained(FOLDER, safe_serialization=True)",
        )
    return RequestError(wrong, "give a complete diffusers folder")


@dataclass(frozen=True)
class _Entry:
    """The entry of a tensor in the header of a safetensors file."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def _tensors_in(path: Path) -> dict[str, StoredTensor]:
    try:
        with safetensors.safe_open(path, framework="numpy"):  # checks the header against the file's length
            pass
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            data = file.read(length)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise RequestError(f"{path} is truncated or corrupt ({printable(str(error))})", _COPY) from error
    # parse_json refuses a repeated name; safetensors silently uses the last one
    header = parse_json(data, dict[str, Any], f"the header of {path}", _COPY)
    header.pop("__metadata__", None)
    entries = convert_json(header, dict[str, _Entry], f"the header of {path}", _COPY)
    return {name: _stored(name, path, 8 + length, entry) for name, entry in entries.items()}


def _stored(name: str, path: Path, start: int, entry: _Entry) -> StoredTensor:
    begin, end = entry.data_offsets
    return StoredTensor(name, path, entry.dtype, entry.shape, start + begin, end - begin)


def _tensors_in_shards(index: Path) -> dict[str, StoredTensor]:
    shards = shards_of(index)
    tensors: dict[str, StoredTensor] = {}
    for shard in sorted(set(shards.values())):
        path = index.parent / shard
        if not path.is_file():
            raise RequestError(f"{index} names {shard}, which is missing", "copy or download it too")
        for name, stored in _tensors_in(path).items():
            if shards.get(name) != shard:
                statement = f"lists in {shards[name]}" if name in shards else "does not list"
                raise RequestError(f"{shard} holds tensor {printable(name)}, which {index} {statement}", _ANEW)
            tensors[name] = stored
    missing = next((name for name in shards if name not in tensors), None)
    if missing is not None:
        raise RequestError(f"{index} promises tensor {printable(missing)}, which no shard holds", _ANEW)
    return tensors
