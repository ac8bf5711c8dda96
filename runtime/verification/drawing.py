"""One run from prompt to picture, component by component, with a bundle or with the reference.

Several drawings use one component together, so that it is loaded once and released before the next one loads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.runtime.draw.conditions import Conditions, Encoded, TokenIds
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.draw.stages import Sampling


class Side(Protocol):
    """An implementation that draws: `runtime.draw.stages.Stages`, or `runtime.reference.reference.Reference`."""

    def encode_text(self, encoder: str, ids: NDArray[np.int32]) -> Encoded:
        """Run the text encoder `encoder` on token ids [batch, 77]."""

    def conditions(self, encoded: Sequence[Encoded]) -> Conditions:
        """Make the UNet's conditions from the outputs of all text encoders."""

    def encode_picture(self, sample: Float32Array) -> Float32Array:
        """Encode pictures [batch, 3, H, W] as scaled latents [batch, 4, h, w]."""

    def sample(self, conditions: Conditions, sampling: Sampling, start: Float32Array | None = None) -> Float32Array:
        """Make finished latents from the conditions and, where given, the scaled latents of a picture."""

    def decode(self, latents: Float32Array) -> Float32Array:
        """Decode finished latents to pictures."""

    def release(self, component: str) -> None:
        """Free the memory of `component`."""


@dataclass(frozen=True)
class Case:
    """The parameters of one drawing.

    Attributes:
        prompt: the text.
        sampling: steps, seed and strength.
        measured: the components that are also compared individually, on their inputs in this case.
    """

    prompt: str
    sampling: Sampling
    measured: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        """The sampling as text, without the prompt."""
        steps, seed, strength = self.sampling.steps, self.sampling.seed, self.sampling.strength
        kind = "text to image" if strength is None else f"image to image at {strength:g}"
        return f"{kind}, {steps} step{'s' * (steps > 1)}, seed {seed}"

    def __str__(self) -> str:
        return f"{self.kind}, {self.prompt!r}"


@dataclass
class Drawing:
    """The state of a case on one side; each field is the output of a component, and None before its run."""

    case: Case
    ids: TokenIds
    picture: Float32Array | None = None
    encoded: dict[str, Encoded] = field(default_factory=dict)
    start: Float32Array | None = None
    latents: Float32Array | None = None
    sample: Float32Array | None = None

    @property
    def finished(self) -> Float32Array:
        """The decoded picture [batch, 3, H, W] of a completed drawing."""
        assert self.sample is not None, f"{self.case} has not been decoded"
        return self.sample

    def advance(self, side: Side, component: str) -> None:
        """Run `component` for this drawing; skip the VAE encoder where there is no picture."""
        if component in self.ids:
            self.encoded[component] = side.encode_text(component, self.ids[component])
        elif component == "vae_encoder" and self.picture is not None:
            self.start = side.encode_picture(self.picture)
        elif component == "unet":
            conditions = side.conditions([self.encoded[encoder] for encoder in self.ids])
            self.latents = side.sample(conditions, self.case.sampling, self.start)
        elif component == "vae_decoder" and self.latents is not None:
            self.sample = side.decode(self.latents)
