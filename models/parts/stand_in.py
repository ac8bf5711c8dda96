"""Stand-ins for tensors, on which diffusers' converters of checkpoints run without reading a number.

The converters of diffusers know all published names of the original checkpoints, and change some tensors: they cut a
fused projection into three, transpose a projection, and make linear layers of 1×1 convolutions. A stand-in makes the
same views of a checkpoint's tensor, which reads them on request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from turbo_webnn.models.checkpoint import Tensor


class StandIn:
    """Stands in for `tensor` with the operations of torch that the converters use.

    Raises:
        NotImplementedError: by an index that no converter of a served part uses.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """The dimensions."""
        return self.tensor.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.tensor.shape)

    @property
    def T(self) -> StandIn:  # noqa: N802 - the name in torch
        """The transpose of a matrix."""
        return StandIn(self.tensor.transposed())

    def __getitem__(self, index: Any) -> StandIn:
        """Rows, as `[a:b]` or `[a:b, :]`, or the only element of the last axes, as `[:, :, 0, 0]`."""
        entries = index if isinstance(index, tuple) else (index,)
        first, others = entries[0], entries[1:]
        if not isinstance(first, slice) or first.step not in (None, 1):
            raise NotImplementedError(f"index {index}")
        start, stop, _ = first.indices(self.shape[0])
        kept = []
        for entry, count in zip(others, self.shape[1:], strict=False):
            if entry == slice(None):
                kept.append(count)
            elif not (entry == 0 and count == 1):
                raise NotImplementedError(f"index {index} of shape {self.shape}")
        rows = self.tensor if (start, stop) == (0, self.shape[0]) else self.tensor.rows(start, stop)
        return StandIn(rows.reshaped((stop - start, *kept, *self.shape[1 + len(others) :])))

    def contiguous(self) -> StandIn:
        """The same numbers."""
        return self

    def clone(self) -> StandIn:
        """The same numbers."""
        return self

    def detach(self) -> StandIn:
        """The same numbers."""
        return self


def convert(
    converter: Callable[[dict[str, Any]], Mapping[str, Any]], tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Run `converter` on stand-ins for `tensors`.

    Args:
        converter: a function of diffusers that returns a state dict under the current names.
        tensors: the tensors of a checkpoint by name.

    Returns:
        The tensors and views by their current names.
    """
    converted = converter({name: StandIn(tensor) for name, tensor in tensors.items()})
    return {name: stand_in.tensor for name, stand_in in converted.items() if isinstance(stand_in, StandIn)}
