"""A weight as codes, scales and zero points: lazy tensors that are computed while they are written.

Scales and zero points are found once, when one of the tensors is written first, and stay in memory. Codes are computed
from them, a few rows at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import onnx_ir as ir
import torch

from turbo_webnn.export.quantize.fit import Fit, fit
from turbo_webnn.export.quantize.grid import Grid, Method
from turbo_webnn.export.weights import LazyWeight, StreamedTensor, bytes_of
from turbo_webnn.models.errors import RequestError

_CODE_TYPES = {4: ir.DataType.INT4, 8: ir.DataType.INT8}


class QuantizedWeight:
    """The tensors that represent `rows`, a weight [rows, summed, ...]. Products sum over the second axis.

    `energy` [summed] is the energy of the weight's input channels. With `transposed` a method gives the tensor for the
    matrix [summed, rows].

    Raises (on reading):
        RequestError: as LazyWeight, and if a scale exceeds float16's range.
    """

    def __init__(
        self, rows: LazyWeight, grid: Grid, method: Method = "search", energy: torch.Tensor | None = None
    ) -> None:
        self.grid, self.dtype = grid, rows.dtype
        self.shape = tuple(rows.shape.numpy())
        count, summed, *rest = self.shape
        assert grid.block is None or summed % grid.block == 0
        self._blocked_shape = (count,) if grid.block is None else (count, summed // grid.block, *rest)
        self._rows, self._method, self._energy = rows, method, energy
        self._fitted: Fit | None = None
        self._lock = threading.Lock()  # the writer computes two tensors at the same time

    def codes(self, *, transposed: bool = False) -> StreamedTensor:
        """int4 or int8 codes, in the shape of the weight."""

        def parts() -> Iterator[torch.Tensor]:
            if transposed:
                yield torch.cat(list(self._codes())).T.contiguous()
            else:
                yield from self._codes()

        return self._tensor("codes", _CODE_TYPES[self.grid.bits], _transposed_shape(self.shape, transposed), parts)

    def scales(self, *, transposed: bool = False) -> StreamedTensor:
        """Scales in the type of the weight: [rows, blocks, ...], or [rows] if a row has one scale."""

        def parts() -> Iterator[torch.Tensor]:
            scales = self._in_blocked_shape(self._fit().scales)
            yield (scales.movedim(0, -1) if transposed else scales).contiguous()

        return self._tensor("scales", self.dtype, _transposed_shape(self._blocked_shape, transposed), parts)

    def scale_column(self) -> StreamedTensor:
        """Scales [rows, 1], for a grid with one scale per row."""
        return self._tensor("scales", self.dtype, (self.shape[0], 1), lambda: iter([self._fit().scales]))

    def zeros(self, *, transposed: bool = False) -> StreamedTensor:
        """Zero points in the type of the codes, one for each scale."""

        def parts() -> Iterator[torch.Tensor]:
            zeros = self._in_blocked_shape(self._fit().zeros)
            yield (zeros.movedim(0, -1) if transposed else zeros).contiguous()

        return self._tensor(
            "zeros", _CODE_TYPES[self.grid.bits], _transposed_shape(self._blocked_shape, transposed), parts
        )

    def unsigned_codes(self) -> StreamedTensor:
        """The codes as MatMulNBits reads them: uint8 [rows, blocks, bytes], where the smallest code is 0."""
        rows, blocks = self._blocked_shape
        shape = (rows, blocks, self.shape[1] * self.grid.bits // 8 // blocks)
        return self._tensor("codes", ir.DataType.UINT8, shape, lambda: map(self._unsigned, self._codes()))

    def unsigned_zeros(self) -> StreamedTensor:
        """The zero points as MatMulNBits reads them: uint8 [rows, bytes]. A row must have an even number of them."""
        rows, blocks = self._blocked_shape
        shape = (rows, blocks * self.grid.bits // 8)
        return self._tensor("zeros", ir.DataType.UINT8, shape, lambda: iter([self._unsigned(self._fit().zeros)]))

    def _tensor(
        self, kind: str, dtype: ir.DataType, shape: tuple[int, ...], parts: Callable[[], Iterator[torch.Tensor]]
    ) -> StreamedTensor:
        is_packed = self.grid.bits == 4 and kind != "scales"

        def byte_parts() -> Iterator[memoryview]:
            for part in parts():
                numbers = part.float() if dtype == ir.DataType.FLOAT else part
                yield bytes_of(_pack_pairs(numbers) if is_packed else numbers)

        return StreamedTensor(byte_parts, dtype, shape, f"{self._rows.name}.{kind}")

    def _unsigned(self, codes: torch.Tensor) -> torch.Tensor:
        return codes.to(torch.int16).sub_(self.grid.lowest).to(torch.uint8)

    def _codes(self) -> Iterator[torch.Tensor]:
        """The codes, int8 [rows, summed, ...], a few rows at a time."""
        whole_fit, start = self._fit(), 0
        for part in self._rows.rows():
            blocks = as_blocks(part, self.grid)
            part_slice = slice(start, start + len(blocks))
            part_fit = Fit(whole_fit.scales[part_slice].float(), whole_fit.zeros[part_slice].float())
            yield _from_blocks(part_fit.codes(blocks, self.grid), part.shape, self.grid)
            start += len(blocks)

    def _fit(self) -> Fit:
        """Scales (float16) and zero points (int8) of all blocks, in the order of the rows."""
        with self._lock:
            if self._fitted is None:
                fits = [self._fit_part(part) for part in self._rows.rows()]
                scales = torch.cat([part_fit.scales for part_fit in fits]).to(torch.float16)
                if not torch.isfinite(scales).all():
                    raise RequestError(
                        f"tensor {self._rows.name} holds numbers whose scale is beyond float16's 65504",
                        "export with --precision fp32",
                    )
                self._fitted = Fit(scales, torch.cat([part_fit.zeros for part_fit in fits]).to(torch.int8))
            return self._fitted

    def _fit_part(self, part: torch.Tensor) -> Fit:
        energies = None if self._energy is None else as_blocks(broadcast_energy(self._energy, part), self.grid)
        return fit(as_blocks(part, self.grid), self.grid, self._method, energies)

    def _in_blocked_shape(self, numbers: torch.Tensor) -> torch.Tensor:
        if self.grid.block is None:
            return numbers
        rows, blocks, *rest = self._blocked_shape
        return numbers.view(rows, *rest, blocks).movedim(-1, 1)


def broadcast_energy(energy: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    """The energy [summed] of the input channel of each number of `part` [rows, summed, ...], in the shape of `part`."""
    return energy.view(1, -1, *[1] * (part.dim() - 2)).expand(part.shape)


def as_blocks(part: torch.Tensor, grid: Grid) -> torch.Tensor:
    """[rows, summed, ...] as [blocks, numbers]."""
    return part.flatten(1) if grid.block is None else part.movedim(1, -1).reshape(-1, grid.block)


def _from_blocks(blocks: torch.Tensor, shape: torch.Size, grid: Grid) -> torch.Tensor:
    """The inverse of `as_blocks`."""
    if grid.block is None:
        return blocks.view(shape)
    rows, summed, *rest = shape
    return blocks.view(rows, *rest, summed).movedim(-1, 1).contiguous()


def _pack_pairs(codes: torch.Tensor) -> torch.Tensor:
    """Pack two 4-bit codes into a byte, the first one in the low bits. An odd number of codes is padded with 0."""
    flat = codes.flatten().to(torch.uint8) & 15
    if flat.numel() % 2:
        flat = torch.nn.functional.pad(flat, (0, 1))
    return flat[0::2] | (flat[1::2] << 4)


def _transposed_shape(shape: tuple[int, ...], transposed: bool) -> tuple[int, ...]:
    return shape[::-1] if transposed else shape
