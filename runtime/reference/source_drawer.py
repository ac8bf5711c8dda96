"""What pipelines that are computed by PyTorch have in common, whatever holds their values."""

from __future__ import annotations

from functools import cached_property
from typing import Generic

from turbo_webnn.models.component import Size
from turbo_webnn.models.source import Source
from turbo_webnn.runtime.draw.drawer import Drawer, Facts
from turbo_webnn.runtime.tensors.protocol import Value


class SourceDrawer(Drawer[Value], Generic[Value]):
    """Draws with the checkpoint of `source`, pictures of `size`. No weights are read for its facts.

    Attributes:
        source: the checkpoint.
    """

    def __init__(self, source: Source, size: Size) -> None:
        self.source = source
        self._size = size

    @cached_property
    def facts(self) -> Facts:
        """The facts that the checkpoint's configs and its family state."""
        family = self.source.family
        constants = family.denoiser.constants(self._size)
        return Facts(family, family.wiring, self._size.batch, self.source.scaling_factor, constants)

    @property
    def _latent_shape(self) -> tuple[int, ...]:
        """The shape of latents [batch, channels, h, w], as the denoiser reads them."""
        family = self.source.family
        spec = next(spec for spec in family.denoiser.inputs if spec.name == family.wiring.latents)
        return spec.shape(self._size, self.source.config(family.denoiser))
