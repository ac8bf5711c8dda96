"""What a pipeline draws with: components on the host's arrays, or bound to the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.runtime.draw import images
from turbo_webnn.runtime.draw.device_stages import DeviceStages
from turbo_webnn.runtime.draw.stages import Sampling, Stages, Timing
from turbo_webnn.runtime.ort.sessions import Provider, Settings


class Engine(Protocol):
    """The components of a bundle: `runtime.draw.stages.Stages`, or `runtime.draw.device_stages.DeviceStages`.

    A value is an array of the engine's own: of numpy in float32 on the host, a slot on the device.
    """

    bundle: Bundle
    timings: dict[str, Timing]

    def encode_text(self, encoder: str, ids: NDArray[np.int32]) -> Mapping[str, Any]:
        """Token ids [batch, 77] to the outputs of that text encoder."""

    def conditions(self, encoded: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """The outputs of all text encoders to the UNet's conditions."""

    def encode_picture(self, sample: NDArray[np.float32]) -> Any:
        """Pictures [batch, 3, H, W] to scaled latents [batch, 4, h, w]."""

    def sample(
        self,
        conditions: Mapping[str, Any],
        sampling: Sampling,
        start: Any | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> Any:
        """Conditions, and scaled latents of a picture, to finished latents."""

    def decode(self, latents: Any) -> Any:
        """Finished latents to a sample [batch, 3, H, W]."""

    def pixels(self, sample: Any) -> images.Pixels:
        """The sample in eight bits: [batch, H, W, 3]."""

    def finite(self, value: Any) -> bool:
        """Whether every number of `value` is one."""

    def flagged(self, clip_input: NDArray[np.float32]) -> list[bool]:
        """Whether the safety checker refuses each picture [batch, 3, 224, 224], prepared as CLIP reads them."""

    def on_host(self, value: Any) -> NDArray[np.float32]:
        """`value` in numpy's float32."""

    def run(self, component: str, inputs: Mapping[str, NDArray[Any]], /) -> Mapping[str, Any]:
        """All outputs of `component` by name, from arrays of the host."""

    def release(self, component: str | None = None) -> None:
        """Give back the memory of `component`, or of all."""


def engine_of(bundle: Bundle, provider: Provider | Settings | None, *, keep_graphs: bool) -> Engine:
    """On CUDA all stays on the device, if the layout of `bundle` is one whose graphs fit each other there."""
    settings = Settings.of(provider)
    if settings.provider == "cuda" and DeviceStages.serves(bundle):
        return DeviceStages(bundle, settings, keep_graphs=keep_graphs)
    return Stages(bundle, settings, keep_graphs=keep_graphs)
