"""The stages of a drawing, written once over the components of a pipeline and one kind of tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.models.families.family import Family
from turbo_webnn.models.wiring import Wiring
from turbo_webnn.runtime.draw.sampler import Sampler, Sampling, sample
from turbo_webnn.runtime.tensors.protocol import Tensors, Value


@dataclass(frozen=True)
class Facts:
    """What a drawing needs to know of a pipeline.

    Attributes:
        family: its contract.
        wiring: which component does what.
        batch: pictures drawn at once.
        scaling_factor: the VAE's.
        constants: inputs of the denoiser that are the same in every run: one row of the batch each.
    """

    family: Family
    wiring: Wiring
    batch: int
    scaling_factor: float
    constants: Mapping[str, Sequence[float]]


class Drawer(ABC, Generic[Value]):
    """A pipeline that draws, in stages. Subclasses run its components.

    Attributes:
        tensors: the arithmetic between components.
    """

    tensors: Tensors[Value]

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What is drawn with."""

    @abstractmethod
    def run(self, component: str, inputs: Mapping[str, Value], /) -> dict[str, Value]:
        """All outputs of `component`, from all its inputs, both by their names in the contract."""

    @abstractmethod
    def release(self, component: str | None = None) -> None:
        """Give back the memory of `component`, or of all; it is loaded again when it runs again."""

    @abstractmethod
    def sampler(self, sampling: Sampling) -> Sampler[Value]:
        """A new run of the scheduler.

        Raises:
            RequestError: where there is no such schedule, or the strength leaves no step to run.
        """

    def encode_text(self, encoder: str, ids: NDArray[np.int32]) -> dict[str, Value]:
        """The outputs of that text encoder from token ids [batch, tokens]."""
        return self._run_on_host_array(encoder, ids)

    def conditions(self, encoded: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
        """The denoiser's inputs but latents and timestep, as the wiring says.

        Args:
            encoded: the outputs of each text encoder, in the order of the family.
        """
        encoders = self.facts.family.text_encoders
        outputs = {
            f"{encoder.name}.{name}": value
            for encoder, values in zip(encoders, encoded, strict=True)
            for name, value in values.items()
        }
        wired = {
            name: self.tensors.joined([outputs[output] for output in sources])
            for name, sources in self.facts.wiring.conditions.items()
        }
        rows = {name: np.array([row] * self.facts.batch, np.float32) for name, row in self.facts.constants.items()}
        return {**wired, **{name: self.tensors.write(row) for name, row in rows.items()}}

    def encode_picture(self, pictures: NDArray[np.float32]) -> Value:
        """The latents of pictures [batch, 3, H, W] in -1…1, times the scaling factor."""
        assert self.facts.wiring.encoder is not None
        (latents,) = self._run_on_host_array(self.facts.wiring.encoder, pictures).values()
        return self.tensors.scaled(latents, self.facts.scaling_factor)

    def sample(
        self,
        conditions: Mapping[str, Value],
        sampling: Sampling,
        start: Value | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> Value:
        """Finished latents [batch, channels, h, w], from noise or, with a strength, from a picture's latents `start`.

        Raises:
            RequestError: where there is no such schedule, or the strength leaves no step to run.
        """
        begun = None if sampling.strength is None else start
        denoise = self.denoiser(conditions)
        return sample(self.sampler(sampling), denoise, begun, on_step, self.tensors.release)

    def denoiser(self, conditions: Mapping[str, Value]) -> Callable[[Value, Value], Value]:
        """The denoiser as a function of scaled latents and the timestep, for what `conditions` says."""
        wiring = self.facts.wiring

        def denoise(scaled: Value, timestep: Value) -> Value:
            inputs = {wiring.latents: scaled, wiring.timestep: timestep, **conditions}
            return next(iter(self.run(wiring.denoiser, inputs).values()))

        return denoise

    def decode(self, latents: Value) -> Value:
        """Pictures [batch, 3, H, W] in about -1…1 from finished latents."""
        decoder = self.facts.family.component(self.facts.wiring.decoder)
        unscaled = self.tensors.scaled(latents, 1 / self.facts.scaling_factor)
        (pictures,) = self.run(decoder.name, {decoder.inputs[0].name: unscaled}).values()
        self.tensors.release(unscaled)
        return pictures

    def flagged(self, clip_input: NDArray[np.float32]) -> list[bool]:
        """Whether the safety checker refuses each of the pictures [batch, 3, 224, 224], prepared as CLIP reads them."""
        assert self.facts.wiring.checker is not None
        (flags,) = self._run_on_host_array(self.facts.wiring.checker, clip_input).values()
        return [bool(flag) for flag in self.tensors.read(flags)]

    def _run_on_host_array(self, component: str, array: NDArray[Any]) -> dict[str, Value]:
        """The outputs of a component with one input."""
        (spec,) = self.facts.family.component(component).inputs
        value = self.tensors.write(array)
        outputs = self.run(component, {spec.name: value})
        self.tensors.release(value)
        return outputs
