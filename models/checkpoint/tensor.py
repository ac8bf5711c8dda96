"""Tensors of checkpoints, which are read on request.

Bytes are read by offset, not through a memory mapping. Pages of a mapping count as resident memory until they are
dropped, and no step of an export may keep all weights of a component in memory.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.models.errors import RequestError

ITEM_BYTES: Mapping[str, int] = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Bytes of one number, by the name of its type in safetensors."""

_BLOCK_BYTES = 8 << 20

_INTEGERS = {"I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8}
"""Types of buffers and single numbers, such as the alpha of a LoRA. No weight has such a type."""

NUMBER_TYPES = frozenset({*ITEM_BYTES, *_INTEGERS})
"""The types that can be read."""

_NUMPY_TYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, **_INTEGERS}


@dataclass(frozen=True)
class Tensor(ABC):
    """A tensor of a checkpoint, or a view of one.

    Attributes:
        name: its name in the file.
        dtype: the safetensors name of the type of its numbers.
        shape: its dimensions.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """The size of its numbers in bytes."""
        return math.prod(self.shape) * _item_bytes(self.dtype)

    @abstractmethod
    def blocks(self, block_bytes: int) -> Iterator[memoryview]:
        """Read its bytes in order, little-endian and row-major, in blocks of whole numbers.

        Args:
            block_bytes: the largest size of a block.

        Raises:
            RequestError: where the numbers cannot be read.
        """

    @abstractmethod
    def rows(self, start: int, stop: int) -> Tensor:
        """The part from `start` to before `stop` of the first axis."""

    @abstractmethod
    def reshaped(self, shape: tuple[int, ...]) -> Tensor:
        """The same numbers in the same order, in another shape of the same size."""

    def row(self, index: int) -> Tensor:
        """The numbers at `index` of the first axis, without this axis."""
        return self.rows(index, index + 1).reshaped(self.shape[1:])

    def transposed(self) -> Tensor:
        """The transpose of this matrix."""
        return TransposedTensor(self.name, self.dtype, self.shape[::-1], self)

    def read_into(self, place: memoryview) -> None:
        """Read all its bytes to `place`, which has the same size; RequestError as `blocks`."""
        position = 0
        for block in self.blocks(_BLOCK_BYTES):
            place[position : position + len(block)] = block
            position += len(block)

    def read(self) -> NDArray[np.float32]:
        """Read all its numbers in float32, in its shape; RequestError as `blocks`."""
        numbers = np.empty(self.shape, _numpy_type(self.dtype))
        self.read_into(numbers.reshape(-1).view(np.uint8).data)
        return numbers.astype(np.float32, copy=False)


@dataclass(frozen=True)
class StoredTensor(Tensor):
    """A tensor whose bytes lie together in a file.

    Attributes:
        path: the file.
        offset: the position of its first byte.
    """

    path: Path
    offset: int

    def blocks(self, block_bytes: int) -> Iterator[memoryview]:
        """Read the bytes; RequestError where the file is shorter than its header states."""
        item = _item_bytes(self.dtype)
        step = max(block_bytes // item, 1) * item
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            for start in range(0, self.nbytes, step):
                # unlike bytearray, np.empty does not fill the memory with zeros
                block = np.empty(min(step, self.nbytes - start), np.uint8).data
                self._fill(block, file)
                yield block

    def read_into(self, place: memoryview) -> None:
        """Read the bytes without a copy; RequestError as `blocks`."""
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            self._fill(place, file)

    def _fill(self, buffer: memoryview, file: FileIO) -> None:
        while buffer:
            count = file.readinto(buffer)
            if not count:
                raise RequestError(f"{self.path} ends inside tensor {self.name}", "copy or download the file anew")
            buffer = buffer[count:]

    def rows(self, start: int, stop: int) -> StoredTensor:
        """Some rows, at another position of the file."""
        row_bytes = math.prod(self.shape[1:]) * _item_bytes(self.dtype)
        return replace(self, shape=(stop - start, *self.shape[1:]), offset=self.offset + start * row_bytes)

    def reshaped(self, shape: tuple[int, ...]) -> StoredTensor:
        """The same bytes in another shape."""
        return replace(self, shape=shape)


@dataclass(frozen=True)
class TransposedTensor(Tensor):
    """Rows of the transpose of the matrix `of`. This is read as a whole, so it must be small.

    Attributes:
        of: the matrix.
        first: its first column that is a row here.
    """

    of: Tensor
    first: int = 0

    def blocks(self, block_bytes: int) -> Iterator[memoryview]:  # noqa: ARG002 - small enough for one
        """Read the matrix and transpose it; one block, whatever its size."""
        numbers = np.empty(self.of.shape, f"V{ITEM_BYTES[self.dtype]}")  # bytes of any type
        self.of.read_into(numbers.reshape(-1).view(np.uint8).data)
        rows = numbers.T[self.first : self.first + self.shape[0]]
        yield np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data

    def rows(self, start: int, stop: int) -> TransposedTensor:
        """Some rows, which are columns of the matrix."""
        return replace(self, shape=(stop - start, *self.shape[1:]), first=self.first + start)

    def reshaped(self, shape: tuple[int, ...]) -> Tensor:
        """Not served, except for the same shape."""
        if shape != self.shape:
            raise NotImplementedError
        return self


def _item_bytes(dtype: str) -> int:
    return ITEM_BYTES.get(dtype) or np.dtype(_INTEGERS[dtype]).itemsize


def _numpy_type(dtype: str) -> np.dtype:
    if dtype == "BF16":
        # imported where it is needed: a signal during the import of its C module prints a traceback
        import ml_dtypes

        bfloat16: np.dtype = np.dtype(ml_dtypes.bfloat16)  # untyped here
        return bfloat16
    return np.dtype(_NUMPY_TYPES[dtype])
