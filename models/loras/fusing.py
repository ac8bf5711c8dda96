"""Weights of a checkpoint with the differences of LoRAs, which are added while the weights are read."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.models.checkpoint import ITEM_BYTES, Checkpoint, Tensor
from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.loras.lora import DAMAGED, Lora
from turbo_webnn.models.loras.pairs import Pair, pairs_of
from turbo_webnn.models.printable import printable

_FLOAT_BYTES = 4


@dataclass(frozen=True)
class FusedTensor(Tensor):
    """base + Σ weight·scale·up·down in float32, as diffusers' `fuse_lora` computes it in a float32 pipeline.

    Attributes:
        base: the weight of a linear layer or of a convolution.
        pairs: the pairs of matrices with the weight of their LoRA.
    """

    base: Tensor
    pairs: tuple[tuple[Pair, float], ...]

    def blocks(self, block_bytes: int) -> Iterator[memoryview]:
        """Read and add some rows at a time; RequestError where a LoRA has NaN or Inf, or a file is too short."""
        inputs = math.prod(self.shape[1:])
        downs = [_finite(pair, pair.down).reshape(-1, inputs) for pair, _ in self.pairs]
        scales = [np.float32(pair.scale() * weight) for pair, weight in self.pairs]
        rows = max(block_bytes // (inputs * _FLOAT_BYTES), 1)
        for start in range(0, self.shape[0], rows):
            stop = min(start + rows, self.shape[0])
            numbers = self.base.rows(start, stop).read().reshape(-1, inputs)
            for (pair, _), down, scale in zip(self.pairs, downs, scales, strict=True):
                up = _finite(pair, pair.up.rows(start, stop)).reshape(stop - start, -1)
                numbers = numbers + (up @ down) * scale
            yield numbers.reshape(-1).view(np.uint8).data

    def rows(self, start: int, stop: int) -> FusedTensor:
        """Some rows of the base and of the second matrices."""
        pairs = tuple((replace(pair, up=pair.up.rows(start, stop)), weight) for pair, weight in self.pairs)
        shape = (stop - start, *self.shape[1:])
        return replace(self, shape=shape, base=self.base.rows(start, stop), pairs=pairs)

    def reshaped(self, shape: tuple[int, ...]) -> Tensor:
        """The same numbers in another shape with the same first axis."""
        assert shape[0] == self.shape[0], f"{self.name}: rows are added together"
        return replace(self, shape=shape)


def fuse(
    checkpoint: Checkpoint,
    component: Component,
    module: Any,
    loras: Sequence[Lora],
    *,
    pipeline: str,
    subfolders: Collection[str],
    unet_config: Any,
) -> Checkpoint:
    """Add the differences that `loras` have for `component`. No numbers are read.

    Args:
        checkpoint: the component's tensors under the names of `component.keys`.
        component: the component.
        module: its module, on the meta device or with fake tensors.
        loras: the LoRAs in any order.
        pipeline: the name of the pipeline class in diffusers.
        subfolders: of the pipeline's components.
        unet_config: the config of the UNet's module.

    Raises:
        RequestError: names the LoRA and the tensor that has no weight in `module`, or does not fit it.
    """
    tensors = dict(checkpoint.tensors)
    layers = dict(module.named_modules())
    for lora in loras:
        pairs = pairs_of(lora, pipeline, subfolders, unet_config).get(component.subfolder, {})
        for path, pair in pairs.items():
            name = next((name for name in (path, path.removeprefix("text_model.")) if name in layers), None)
            key = None if name is None else next((k for k in component.keys(f"{name}.weight") if k in tensors), None)
            if key is None:
                raise RequestError(
                    f"{lora.name} changes {printable(path)}, which the {component.part.noun} lacks",
                    "give a LoRA for this pipeline",
                )
            weight = checkpoint.tensor(checkpoint.tensors[key].shape, key)
            _require_fits(pair, weight, component)
            tensors[key] = _with_pair(tensors[key], pair, lora.weight)
    return Checkpoint(checkpoint.where, tensors)


def _with_pair(tensor: Tensor, pair: Pair, weight: float) -> FusedTensor:
    base, pairs = (tensor.base, tensor.pairs) if isinstance(tensor, FusedTensor) else (tensor, ())
    return FusedTensor(tensor.name, "F32", tensor.shape, base, (*pairs, (pair, weight)))


def _require_fits(pair: Pair, weight: Tensor, component: Component) -> None:
    """Refuse a pair whose product has another shape than `weight`, or whose matrices do not fit each other."""
    down, up = pair.down, pair.up
    for matrix in (down, up):
        if matrix.dtype not in ITEM_BYTES:
            raise RequestError(
                f"{pair.lora}: tensor {printable(matrix.name)} is {matrix.dtype}", f"served are {', '.join(ITEM_BYTES)}"
            )
    kernels = down.shape[2:], up.shape[2:]
    if min(len(down.shape), len(up.shape)) < 2 or up.shape[1] != down.shape[0] or math.prod(kernels[1]) != 1:
        raise RequestError(
            f"{pair.lora}: {printable(up.name)} {list(up.shape)} and {printable(down.name)} {list(down.shape)} have "
            f"no common rank",
            DAMAGED,
        )
    product, expected = (up.shape[0], down.shape[1], *down.shape[2:]), weight.shape
    # a LoRA for a 1×1 convolution may have matrices, and the other way round
    if _without_ones(product) != _without_ones(expected):
        raise RequestError(
            f"{pair.lora}: {printable(down.name)} changes a weight of {list(product)}, "
            f"the {component.part.noun} has {list(expected)} there",
            "the LoRA was trained for another base: give one for this pipeline",
        )


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[:2] if shape[2:] == (1, 1) else shape


def _finite(pair: Pair, tensor: Tensor) -> NDArray[np.float32]:
    numbers = tensor.read()
    if not np.isfinite(numbers).all():
        raise RequestError(f"{pair.lora}: tensor {printable(tensor.name)} holds NaN or Inf", DAMAGED)
    return numbers
