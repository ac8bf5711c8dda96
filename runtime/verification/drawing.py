"""One run from prompt to picture, component by component, with a bundle or with the reference.

Several drawings use one component together, so that it is loaded once and released before the next one loads.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from turbo_webnn.runtime.draw.conditions import Encoded, TokenIds
from turbo_webnn.runtime.draw.drawer import Drawer, Encoding
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.draw.sampler import Sampling
from turbo_webnn.runtime.ort.sessions import Array


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
    """The state of a case on one side; each field is the outcome of a component, and None before its run."""

    case: Case
    ids: TokenIds
    picture: Float32Array | None = None
    encoded: dict[str, Encoded] = field(default_factory=dict)
    start: Encoding[Array] | None = None
    latents: Float32Array | None = None
    sample: Float32Array | None = None

    @property
    def finished(self) -> Float32Array:
        """The decoded picture [batch, 3, H, W] of a completed drawing."""
        assert self.sample is not None, f"{self.case} has not been decoded"
        return self.sample

    def advance(self, side: Drawer[Array], component: str) -> None:
        """Run `component` for this drawing; skip the encoder where there is no picture."""
        wiring = side.facts.wiring
        if component in self.ids:
            self.encoded[component] = side.encode_text(component, self.ids[component])
        elif component == wiring.encoder and self.picture is not None:
            self.start = side.encode_picture(self.picture)
        elif component == wiring.denoiser:
            conditions = side.conditions([self.encoded[encoder] for encoder in self.ids])
            self.latents = side.sample(conditions, self.case.sampling, self.start)
        elif component == wiring.decoder and self.latents is not None:
            self.sample = side.decode(self.latents)
