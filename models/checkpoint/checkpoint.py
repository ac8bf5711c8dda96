"""The tensors of one component on disk. Only the headers of its files are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from turbo_webnn.models.checkpoint.file_names import index_in, missing_weights, shards_of, whole_name
from turbo_webnn.models.checkpoint.safetensors_file import Header, read_header
from turbo_webnn.models.checkpoint.tensor import ITEM_BYTES, Tensor
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.printable import printable

_ANEW = "download the shards anew"


class Checkpoint:
    """The tensors of one component, in one or more files. Only the headers are read."""

    def __init__(self, where: Path, tensors: Mapping[str, Tensor]) -> None:
        self.where = where
        self.tensors = tensors

    @classmethod
    def open(
        cls, folder: Path, stem: str, variant: str | None = None, remote: Mapping[str, Header] = MappingProxyType({})
    ) -> Checkpoint:
        """Open `folder/stem[.variant].safetensors`, or the shards that an index in `folder` lists.

        Args:
            folder: of the component.
            stem: the start of the file name.
            variant: such as `fp16`; None for the main weights.
            remote: the headers of files that are not downloaded yet, by their path.

        Raises:
            RequestError: where the file is missing, truncated, corrupt or a pickle, or the index lists a missing
                file.
        """
        whole_path = folder / whole_name(stem, variant)
        if str(whole_path) in remote or whole_path.is_file():
            return cls.of_file(whole_path, remote)
        index = index_in(folder, stem, variant)
        if index is not None:
            return cls(index, _tensors_in_shards(index, remote))
        files = [path.name for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
        raise missing_weights(folder, files, stem, variant)

    @classmethod
    def of_file(cls, path: Path, remote: Mapping[str, Header] = MappingProxyType({})) -> Checkpoint:
        """All tensors of the file `path`; RequestError where it is missing, truncated or corrupt."""
        return cls(path, (remote.get(str(path)) or read_header(path)).tensors)

    def under(self, prefixes: tuple[str, ...]) -> Checkpoint:
        """The tensors whose names start with one of `prefixes`."""
        return Checkpoint(
            self.where, {name: tensor for name, tensor in self.tensors.items() if name.startswith(prefixes)}
        )

    def outside(self, prefixes: tuple[str, ...]) -> Checkpoint:
        """The tensors whose names start with none of `prefixes`."""
        return Checkpoint(
            self.where, {name: tensor for name, tensor in self.tensors.items() if not name.startswith(prefixes)}
        )

    def count(self) -> int:
        """The total number of values in all tensors."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())

    def tensor(self, shape: tuple[int, ...], *keys: str) -> Tensor:
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


def _tensors_in_shards(index: Path, remote: Mapping[str, Header]) -> dict[str, Tensor]:
    shards = shards_of(index)
    tensors: dict[str, Tensor] = {}
    for shard in sorted(set(shards.values())):
        path = index.parent / shard
        if str(path) not in remote and not path.is_file():
            raise RequestError(f"{index} names {shard}, which is missing", "copy or download it too")
        for name, stored in Checkpoint.of_file(path, remote).tensors.items():
            if shards.get(name) != shard:
                statement = f"lists in {shards[name]}" if name in shards else "does not list"
                raise RequestError(f"{shard} holds tensor {printable(name)}, which {index} {statement}", _ANEW)
            tensors[name] = stored
    missing = next((name for name in shards if name not in tensors), None)
    if missing is not None:
        raise RequestError(f"{index} promises tensor {printable(missing)}, which no shard holds", _ANEW)
    return tensors
