"""Initializers that are lazy views of the checkpoint: nothing is read until the bytes are written to disk.

A pass does not transpose, reshape, scale or cast a weight itself. It makes another view, so that no pass needs memory
for a weight.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Protocol

import numpy as np
import onnx_ir as ir
import torch

from turbo_webnn.models.checkpoint import ITEM_BYTES, Checkpoint
from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import RequestError

BLOCK_BYTES = 8 << 20
"""Bytes of a stored tensor that are read at a time."""

SMALL_BYTES = 4 << 20
"""The largest weight that passes may read as an array. They may fold smaller weights, and must not read larger ones."""

_TORCH_BY_SOURCE = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_TORCH_BY_IR = {ir.DataType.FLOAT: torch.float32, ir.DataType.FLOAT16: torch.float16}


class Stored(Protocol):
    """A source of a weight's bytes, such as `models.checkpoint.StoredTensor`."""

    @property
    def name(self) -> str:
        """The name of the tensor."""

    @property
    def dtype(self) -> str:
        """The safetensors name of the type of its numbers."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""

    def blocks(self, block_bytes: int) -> Iterator[memoryview]:
        """Its bytes in order, in blocks of at most `block_bytes`."""

    def read_into(self, place: memoryview) -> None:
        """Read all its bytes to `place`."""


@dataclass(frozen=True)
class _InMemory:
    """A small tensor of the graph itself, as a source of weights."""

    tensor: ir.TensorProtocol
    name: str = "a constant"

    @property
    def dtype(self) -> str:
        return {ir.DataType.FLOAT: "F32", ir.DataType.FLOAT16: "F16"}[self.tensor.dtype]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.shape.numpy())

    def blocks(self, block_bytes: int) -> Iterator[memoryview]:  # noqa: ARG002 - small enough for one
        yield memoryview(bytearray(self.tensor.tobytes()))

    def read_into(self, place: memoryview) -> None:
        place[:] = self.tensor.tobytes()


@dataclass(frozen=True)
class _View:
    """The operations on a stored tensor: permute the axes, then reshape, scale and cast."""

    permutation: tuple[int, ...]
    shape: tuple[int, ...]
    scale: float
    dtype: ir.DataType


class StreamedTensor(ir.LazyTensor):
    """A tensor whose bytes are computed while they are written: `parts` gives them part by part."""

    __slots__ = ("_parts",)

    def __init__(
        self, parts: Callable[[], Iterator[memoryview]], dtype: ir.DataType, shape: Sequence[int], name: str
    ) -> None:
        self._parts = parts
        super().__init__(self._array, dtype, ir.Shape(shape), name=name)

    def _array(self) -> ir.TensorProtocol:
        assert self.nbytes <= SMALL_BYTES, f"{self.name} is too large for a pass to hold"
        array = np.frombuffer(self.tobytes(), np.uint8 if self.dtype.itemsize < 1 else self.dtype.numpy())
        if self.dtype.itemsize < 1:
            return ir.PackedTensor(array, self.dtype, shape=self.shape)
        return ir.Tensor(array.reshape(self.shape.numpy()))

    def tobytes(self) -> bytes:
        """The bytes, little-endian. Two 4-bit numbers share a byte; the first number has the low bits."""
        return b"".join(bytes(part) for part in self._parts())

    def tofile(self, file: BinaryIO) -> None:
        """Write the bytes, with one part at a time in memory."""
        for part in self._parts():
            file.write(part)


class LazyWeight(StreamedTensor):
    """A view of a stored tensor. A part is a block of the tensor, or the whole tensor if the view permutes its axes.

    Raises (on reading):
        RequestError: if the stored tensor contains NaN or Inf, or numbers that the view's type cannot hold.
    """

    __slots__ = ("_stored", "_view")

    def __init__(self, stored: Stored, view: _View | None = None, name: str | None = None) -> None:
        self._stored = stored
        self._view = view or _View(tuple(range(len(stored.shape))), stored.shape, 1.0, ir.DataType.FLOAT)
        super().__init__(self._converted_parts, self._view.dtype, self._view.shape, name or stored.name)

    def permuted(self, permutation: Sequence[int]) -> LazyWeight | None:
        """The view with its axes permuted, or None if the view was reshaped before."""
        view = self._view
        if view.shape != tuple(self._stored.shape[axis] for axis in view.permutation):
            return None
        shape = tuple(view.shape[axis] for axis in permutation)
        return self._derived(permutation=tuple(view.permutation[axis] for axis in permutation), shape=shape)

    def reshaped(self, shape: Sequence[int]) -> LazyWeight:
        """The view with another shape of the same number of elements."""
        assert math.prod(shape) == math.prod(self._view.shape)
        return self._derived(shape=tuple(shape))

    def scaled(self, factor: float) -> LazyWeight:
        """The view multiplied by `factor`, in float32, before the cast."""
        return self._derived(scale=self._view.scale * factor)

    def cast(self, dtype: ir.DataType) -> LazyWeight:
        """The view in another floating type."""
        return self._derived(dtype=dtype)

    def _derived(self, **changes: Any) -> LazyWeight:
        return LazyWeight(self._stored, replace(self._view, **changes), self.name)

    def __repr__(self) -> str:
        return f"LazyWeight<{self.dtype},{self.shape}>({self._stored.name})"

    def rows(self) -> Iterator[torch.Tensor]:
        """The view in float32, a few rows at a time [rows, ...], in order. The view must not permute the axes."""
        assert self.in_order
        float32_view = self.cast(ir.DataType.FLOAT)
        source, shape = _TORCH_BY_SOURCE[self._stored.dtype], self._view.shape
        row_bytes = math.prod(shape[1:]) * ITEM_BYTES[self._stored.dtype]
        for block in self._stored.blocks(max(BLOCK_BYTES // row_bytes, 1) * row_bytes):
            yield float32_view._converted(torch.frombuffer(block, dtype=source)).view(-1, *shape[1:])

    @property
    def in_order(self) -> bool:
        """Whether the view's numbers are in the order of the stored numbers."""
        return self._view.permutation == tuple(range(len(self._stored.shape)))

    def numbers(self) -> torch.Tensor:
        """Read the view into a new torch tensor."""
        # numbers are cast block by block while they are read, before the axes are permuted: only the tensor of the new
        # type is in memory completely
        whole = torch.empty(math.prod(self._stored.shape), dtype=_TORCH_BY_IR[self._view.dtype])
        if whole.dtype == _TORCH_BY_SOURCE[self._stored.dtype]:
            self._stored.read_into(bytes_of(whole))
            whole = self._converted(whole)
        else:
            filled = 0
            for numbers in self._stored_numbers():
                self._convert(numbers, whole[filled : filled + len(numbers)])
                filled += len(numbers)
        return whole.view(self._stored.shape).permute(self._view.permutation).reshape(self._view.shape)

    def _converted_parts(self) -> Iterator[memoryview]:
        yield from map(bytes_of, self._blocks() if self.in_order else [self.numbers()])

    def _blocks(self) -> Iterator[torch.Tensor]:
        """The stored numbers in their order, in the view's type."""
        return map(self._converted, self._stored_numbers())

    def _stored_numbers(self) -> Iterator[torch.Tensor]:
        source = _TORCH_BY_SOURCE[self._stored.dtype]
        return (torch.frombuffer(block, dtype=source) for block in self._stored.blocks(BLOCK_BYTES))

    def _converted(self, numbers: torch.Tensor) -> torch.Tensor:
        if self._view.scale == 1.0 and numbers.dtype == _TORCH_BY_IR[self._view.dtype]:
            self._require_finite(numbers, numbers)
            return numbers
        return self._convert(numbers, torch.empty(len(numbers), dtype=_TORCH_BY_IR[self._view.dtype]))

    def _convert(self, numbers: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Scale and cast `numbers` of the stored tensor into `target`; return `target`."""
        target.copy_(numbers if self._view.scale == 1.0 else numbers.float() * self._view.scale)
        self._require_finite(numbers, target)
        return target

    def _require_finite(self, numbers: torch.Tensor, cast: torch.Tensor) -> None:
        if not _is_finite(cast):
            if not _is_finite(numbers):
                raise RequestError(f"tensor {self._stored.name} holds NaN or Inf", "the checkpoint is damaged")
            raise RequestError(
                f"tensor {self._stored.name} holds numbers beyond float16's 65504",
                "export with --precision fp32",
            )


def _is_finite(numbers: torch.Tensor) -> bool:
    """Whether no number is NaN or Inf. The extremes show it about twenty times as fast as a check of each number."""
    return not numbers.numel() or all(math.isfinite(extreme) for extreme in numbers.aminmax())


def bytes_of(numbers: torch.Tensor) -> memoryview:
    """The bytes of a tensor, little-endian. Nothing is copied if the tensor is contiguous."""
    return memoryview(numbers.contiguous().numpy().reshape(-1)).cast("B")


def as_lazy_weight(tensor: ir.TensorProtocol) -> LazyWeight:
    """`tensor` as a lazy weight, from which other views can be made. It must have a floating type."""
    return tensor if isinstance(tensor, LazyWeight) else LazyWeight(_InMemory(tensor), _identity_view(tensor))


def _identity_view(tensor: ir.TensorProtocol) -> _View:
    shape = tuple(tensor.shape.numpy())
    return _View(tuple(range(len(shape))), shape, 1.0, tensor.dtype)


def bind_weights(model: ir.Model, component: Component, checkpoint: Checkpoint) -> None:
    """Give each parameter that the graph uses its lazy weight, and remove the other parameters.

    Raises:
        RequestError: if the checkpoint lacks a tensor, or has it in another shape or type.
    """
    for value in list(model.graph.initializers.values()):
        if not value.uses() and not value.is_graph_output():
            del model.graph.initializers[str(value.name)]
            continue
        assert value.shape is not None
        stored = checkpoint.tensor(tuple(value.shape.numpy()), *component.keys(str(value.name)))
        value.const_value = LazyWeight(stored, name=value.name)
