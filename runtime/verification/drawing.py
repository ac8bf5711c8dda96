"""One run from prompt to picture, a component at a time: by a bundle or by the reference, in the same steps.

Several drawings advance through one component together, so that it is loaded once and leaves before the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from turbo_webnn.runtime.draw.conditions import Encoded, TokenIds
from turbo_webnn.runtime.draw.drawer import Drawer
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.draw.sampler import Sampling
from turbo_webnn.runtime.ort.sessions import Array


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

    def advance(self, side: Drawer[Array], component: str) -> None:
        """Take the drawing through `component`; an encoder is passed by where there is no picture."""
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
