"""The stages of a drawing, independent of the runtime of the components and of the kind of tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.models.families.family import Family
from turbo_webnn.models.parts.autoencoder_kl import MOMENTS
from turbo_webnn.models.wiring import Wiring
from turbo_webnn.runtime.draw.sampler import Sampler, Sampling, sample
from turbo_webnn.runtime.tensors.protocol import Tensors, Value


@dataclass(frozen=True)
class Facts:
    """The facts about a pipeline that a drawing needs.

    Attributes:
        family: the family, with the contracts of the components.
        wiring: the roles and the connections of the components.
        batch: the number of pictures in one drawing.
        scaling_factor: the scaling factor of the VAE.
        constants: inputs of the denoiser that are the same in every run, by name. Each value is one row of the batch.
    """

    family: Family
    wiring: Wiring
    batch: int
    scaling_factor: float
    constants: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Encoding(Generic[Value]):
    """What the VAE encoder gives for the picture that a drawing starts from, not scaled.

    Attributes:
        output: the mean of the latents [batch, channels, h, w], or with `has_variance` the mean and the logarithm of
            the variance [batch, 2·channels, h, w].
        pictures: the number of pictures: that of the batch, or 1 where the batch starts from one picture.
        has_variance: whether the latents can be sampled.
    """

    output: Value
    pictures: int
    has_variance: bool


class Drawer(ABC, Generic[Value]):
    """Draws in stages. Subclasses run the components.

    Attributes:
        tensors: the tensor operations between components.
    """

    tensors: Tensors[Value]

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """The facts about the pipeline."""

    @abstractmethod
    def run(self, component: str, inputs: Mapping[str, Value], /) -> dict[str, Value]:
        """Run `component` on all its inputs. The names of inputs and outputs are those of the contract.

        Returns:
            All outputs by name.
        """

    @abstractmethod
    def release(self, component: str | None = None) -> None:
        """Free the memory of `component`, or of all components. The next run loads the component again."""

    @abstractmethod
    def sampler(self, sampling: Sampling) -> Sampler[Value]:
        """Make the sampler of one drawing.

        Raises:
            RequestError: where there is no such schedule, or the strength leaves no step to run.
        """

    def encode_text(self, encoder: str, ids: NDArray[np.int32]) -> dict[str, Value]:
        """Run the text encoder `encoder` on token ids [batch, tokens]."""
        return self._run_on_host_array(encoder, ids)

    def conditions(self, encoded: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
        """Combine text encodings and constants into the denoiser's inputs, without latents and timestep.

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
            name: self.tensors.concatenate([outputs[output] for output in sources])
            for name, sources in self.facts.wiring.conditions.items()
        }
        rows = {name: np.array([row] * self.facts.batch, np.float32) for name, row in self.facts.constants.items()}
        return {**wired, **{name: self.tensors.write(row) for name, row in rows.items()}}

    def encode_picture(self, pictures: NDArray[np.float32]) -> Encoding[Value]:
        """Encode pictures [batch, 3, H, W] in -1…1, or one picture [1, 3, H, W] for the whole batch."""
        assert self.facts.wiring.encoder is not None
        repeated = np.tile(pictures, (self.facts.batch // len(pictures), 1, 1, 1))
        outputs = self._run_on_host_array(self.facts.wiring.encoder, repeated)
        if MOMENTS in outputs:
            return Encoding(outputs[MOMENTS], len(pictures), has_variance=True)
        (mean,) = outputs.values()
        return Encoding(mean, len(pictures), has_variance=False)

    def sample(
        self,
        conditions: Mapping[str, Value],
        sampling: Sampling,
        start: Encoding[Value] | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> Value:
        """Run all steps of the denoiser.

        Args:
            conditions: the denoiser's inputs without latents and timestep.
            sampling: the steps, the seed and the strength.
            start: an encoded picture; ignored where `sampling` has no strength.
            on_step: called after each step with the number of completed steps.

        Returns:
            The final latents [batch, channels, h, w].

        Raises:
            RequestError: where there is no such schedule, or the strength leaves no step to run.
        """
        sampler = self.sampler(sampling)
        latents = (
            None if sampling.strength is None or start is None else self._picture_latents(start, sampler, sampling)
        )
        drawn = sample(sampler, self.denoiser(conditions), latents, on_step, self.tensors.release)
        if latents is not None:
            self.tensors.release(latents)
        return drawn

    def _picture_latents(self, start: Encoding[Value], sampler: Sampler[Value], sampling: Sampling) -> Value:
        """The latents of an encoded picture, times the scaling factor: sampled, or the mean, as `sampling` states."""
        assert start.has_variance or not sampling.posterior, "there is no variance to sample with"
        if sampling.posterior:
            noise = sampler.posterior_noise(start.pictures)
            latents = self.tensors.sample(start.output, noise)
            self.tensors.release(noise)
        else:
            latents = self.tensors.mean(start.output) if start.has_variance else start.output
        scaled = self.tensors.scale(latents, self.facts.scaling_factor)
        if latents is not start.output:
            self.tensors.release(latents)
        return scaled

    def denoiser(self, conditions: Mapping[str, Value]) -> Callable[[Value, Value], Value]:
        """The denoiser under `conditions`, as a function of the scaled latents and the timestep."""
        wiring = self.facts.wiring

        def denoise(scaled: Value, timestep: Value) -> Value:
            inputs = {wiring.latents: scaled, wiring.timestep: timestep, **conditions}
            return next(iter(self.run(wiring.denoiser, inputs).values()))

        return denoise

    def decode(self, latents: Value) -> Value:
        """Decode final latents into pictures [batch, 3, H, W], in about -1…1."""
        decoder = self.facts.family.component(self.facts.wiring.decoder)
        unscaled = self.tensors.scale(latents, 1 / self.facts.scaling_factor)
        (pictures,) = self.run(decoder.name, {decoder.inputs[0].name: unscaled}).values()
        self.tensors.release(unscaled)
        return pictures

    def flag_unsafe(self, clip_input: NDArray[np.float32]) -> list[bool]:
        """Run the safety checker.

        Args:
            clip_input: pictures [batch, 3, 224, 224], normalised for CLIP.

        Returns:
            For each picture whether the checker flags it.
        """
        assert self.facts.wiring.checker is not None
        (flags,) = self._run_on_host_array(self.facts.wiring.checker, clip_input).values()
        return [bool(flag) for flag in self.tensors.read(flags)]

    def _run_on_host_array(self, component: str, array: NDArray[Any]) -> dict[str, Value]:
        """Run a component that has one input."""
        (spec,) = self.facts.family.component(component).inputs
        value = self.tensors.write(array)
        outputs = self.run(component, {spec.name: value})
        self.tensors.release(value)
        return outputs
