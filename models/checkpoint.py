"""A component's weights on disk, as tensors that are read one at a time.

Bytes are read by offset, not through a mapping: pages of a mapping count as resident memory until they are
dropped, and no step of an export may hold a component's weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
from huggingface_hub import parse_local_safetensors_file_metadata

from models.errors import RequestError

ITEM_BYTES: Mapping[str, int] = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Bytes of one number, by the name that safetensors gives its type."""


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a safetensors file: where its bytes lie, and what they mean."""

    name: str
    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int

    def read(self) -> bytearray:
        """All its bytes, little-endian, row-major.

        Raises:
            RequestError: where the file has become shorter than its header says.
        """
        return next(self.blocks(self.nbytes)) if self.nbytes else bytearray()

    def blocks(self, block_bytes: int) -> Iterator[bytearray]:
        """Its bytes in order, in blocks of at most `block_bytes`, each a whole count of numbers."""
        step = max(block_bytes // ITEM_BYTES[self.dtype], 1) * ITEM_BYTES[self.dtype]
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            for start in range(0, self.nbytes, step):
                block = bytearray(min(step, self.nbytes - start))
                view = memoryview(block)
                while view:
                    count = file.readinto(view)
                    if not count:
                        raise RequestError(
                            f"{self.path} ends inside tensor {self.name}", "copy or download the file anew"
                        )
                    view = view[count:]
                yield block


class Checkpoint:
    """The tensors of one component, whichever files they lie in. Nothing is read but the headers."""

    def __init__(self, where: Path, tensors: Mapping[str, StoredTensor]) -> None:
        self.where = where
        self.tensors = tensors

    @classmethod
    def open(cls, folder: Path, stem: str, variant: str | None = None) -> Checkpoint:
        """Open `folder/stem[.variant].safetensors`, or the shards that an index beside it names.

        Raises:
            RequestError: where the file is missing, truncated, corrupt or a pickle, or the index names what is
                not there.
        """
        name = f"{stem}.{variant}" if variant else stem
        whole = folder / f"{name}.safetensors"
        indexes = [folder / f"{stem}.safetensors.index.{variant}.json" if variant else None]
        indexes.append(folder / f"{name}.safetensors.index.json")
        if whole.is_file():
            return cls(whole, _tensors_of(whole))
        for index in indexes:
            if index is not None and index.is_file():
                return cls(index, _tensors_of_shards(index))
        raise _missing(folder, stem, name)

    def tensor(self, name: str, shape: tuple[int, ...], prefixes: tuple[str, ...] = ("",)) -> StoredTensor:
        """The tensor `name`, which must have `shape`, under the first of `prefixes` with which it is there.

        Raises:
            RequestError: where it is missing, has another shape, or is not of a floating type.
        """
        stored = next((self.tensors[prefix + name] for prefix in prefixes if prefix + name in self.tensors), None)
        if stored is None:
            raise RequestError(
                f"{self.where} has no tensor {prefixes[0]}{name}", "the file belongs to another architecture"
            )
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


def _tensors_of(path: Path) -> dict[str, StoredTensor]:
    try:
        with safetensors.safe_open(path, framework="numpy"):  # checks the header against the file's length
            pass
        header = parse_local_safetensors_file_metadata(path)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise RequestError(f"{path} is truncated or corrupt ({error})", "copy or download it anew") from error
    with path.open("rb") as file:
        data_start = 8 + int.from_bytes(file.read(8), "little")  # https://github.com/huggingface/safetensors
    return {
        name: StoredTensor(
            name=name,
            path=path,
            dtype=str(info.dtype),
            shape=tuple(info.shape),
            offset=data_start + info.data_offsets[0],
            nbytes=info.data_offsets[1] - info.data_offsets[0],
        )
        for name, info in header.tensors.items()
    }


def _tensors_of_shards(index: Path) -> dict[str, StoredTensor]:
    try:
        weight_map: dict[str, str] = json.loads(index.read_text())["weight_map"]
        shards = sorted(set(weight_map.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(f"{index} is not an index of shards", "copy or download it anew") from error
    tensors: dict[str, StoredTensor] = {}
    for shard in shards:
        if Path(shard).name != shard:
            raise RequestError(f"{index} names a shard outside its folder: {shard}", "take a checkpoint you trust")
        path = index.parent / shard
        if not path.is_file():
            raise RequestError(f"{index} names {shard}, which is missing", "copy or download it too")
        tensors |= _tensors_of(path)
    missing = next((name for name in weight_map if name not in tensors), None)
    if missing is not None:
        raise RequestError(f"{index} promises tensor {missing}, which no shard holds", "download the shards anew")
    return tensors


def _missing(folder: Path, stem: str, name: str) -> RequestError:
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    variants = {file.split(".")[1] for file in found if file.startswith(f"{stem}.") and file.count(".") > 1}
    variants.discard("safetensors")
    if any(file.startswith(f"{stem}.") and file.endswith(".safetensors") for file in found) and variants:
        return RequestError(
            f"{folder} has no {name}.safetensors",
            f"it has the variant {' or '.join(sorted(variants))}: --variant",
        )
    if any(file.endswith((".bin", ".ckpt", ".pt", ".pth")) for file in found):
        return RequestError(
            f"{folder} holds a pickle, which runs code when it is read",
            "save it as safetensors: pipe.save_pretrained(FOLDER, safe_serialization=True)",
        )
    return RequestError(f"{folder} has no {name}.safetensors", "give a complete diffusers folder")
