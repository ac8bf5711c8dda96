"""One run from prompt to picture, a component at a time: by a bundle or by the reference, in the same steps.

Several drawings advance through one component together, so that it is loaded once and leaves before the next.
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
    """What can draw: `runtime.draw.stages.Stages`, or `runtime.reference.reference.Reference`."""

    def encode_text(self, encoder: str, ids: NDArray[np.int32]) -> Encoded:
        """Token ids [batch, 77] to the outputs of that text encoder."""

    def conditions(self, encoded: Sequence[Encoded]) -> Conditions:
        """The outputs of all text encoders to the UNet's conditions."""

    def encode_picture(self, sample: Float32Array) -> Float32Array:
        """Pictures [batch, 3, H, W] to scaled latents [batch, 4, h, w]."""

    def sample(self, conditions: Conditions, sampling: Sampling, start: Float32Array | None = None) -> Float32Array:
        """Conditions, and scaled latents of a picture, to finished latents."""

    def decode(self, latents: Float32Array) -> Float32Array:
        """Finished latents to pictures."""

    def release(self, component: str) -> None:
        """Give back the memory of `component`."""


@dataclass(frozen=True)
class Case:
    """What is drawn.

    Attributes:
        measured: the components that are also compared one by one, on what this case feeds them.
    """

    prompt: str
    sampling: Sampling
    measured: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        """How it is drawn, without what."""
        steps, seed, strength = self.sampling.steps, self.sampling.seed, self.sampling.strength
        kind = "text to image" if strength is None else f"image to image at {strength:g}"
        return f"{kind}, {steps} step{'s' * (steps > 1)}, seed {seed}"

    def __str__(self) -> str:
        return f"{self.kind}, {self.prompt!r}"


@dataclass
class Drawing:
    """How far a case has come on one side; each field is the outcome of a component, None before it."""

    case: Case
    ids: TokenIds
    picture: Float32Array | None = None
    encoded: dict[str, Encoded] = field(default_factory=dict)
    start: Float32Array | None = None
    latents: Float32Array | None = None
    sample: Float32Array | None = None

    @property
    def finished(self) -> Float32Array:
        """The decoded picture [batch, 3, H, W] of a drawing that has come through all its components."""
        assert self.sample is not None, f"{self.case} has not been decoded"
        return self.sample

    def advance(self, side: Side, component: str) -> None:
        """Take the drawing through `component`; the VAE encoder is passed by where there is no picture."""
        if component in self.ids:
            self.encoded[component] = side.encode_text(component, self.ids[component])
        elif component == "vae_encoder" and self.picture is not None:
            self.start = side.encode_picture(self.picture)
        elif component == "unet":
            conditions = side.conditions([self.encoded[encoder] for encoder in self.ids])
            self.latents = side.sample(conditions, self.case.sampling, self.start)
        elif component == "vae_decoder" and self.latents is not None:
            self.sample = side.decode(self.latents)
