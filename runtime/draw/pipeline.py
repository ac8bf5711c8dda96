"""From a prompt, or a prompt and a picture, to pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from turbo_webnn.models.arguments import Whole, require_types, require_unicode
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.precision import Precision
from turbo_webnn.models.progress import ReportRuns
from turbo_webnn.runtime.draw import images, safety, sampler
from turbo_webnn.runtime.draw.bundle_drawer import Timing
from turbo_webnn.runtime.draw.engine import Engine, engine_of
from turbo_webnn.runtime.draw.noise import NoiseSource
from turbo_webnn.runtime.draw.sampler import Sampling
from turbo_webnn.runtime.draw.text import tokenizers_of
from turbo_webnn.runtime.ort.sessions import Provider, Settings

_NARROW = "export with --precision fp32"

_NOT_FINITE: dict[Precision, str] = {
    "fp32": "the checkpoint itself gives them: check its weights and its scheduler",
    "fp16": _NARROW,
    "q8f16": _NARROW,
    "q4f16": _NARROW,
}
"""What is right where a component's numbers leave the range of its type."""


@dataclass(frozen=True)
class Result:
    """What one call drew.

    Attributes:
        images: one a picture of the batch.
        latents: float32 [batch, channels, h, w] as the denoiser left them, in the sampler's scale.
        timings: seconds by component, in the order of their work.
        prompt_cut: what of the prompt did not fit the text encoder; empty where all of it did.
        flagged: for each picture whether the safety checker refused it, which made it black; empty where the bundle
            has none.
    """

    images: tuple[Image.Image, ...]
    latents: NDArray[np.float32]
    timings: Mapping[str, Timing]
    prompt_cut: str
    flagged: tuple[bool, ...] = ()


class Pipeline:
    """A bundle that draws.

    Attributes:
        bundle: what it runs.
        keep_sessions: whether components stay loaded between calls. Where they do not, each leaves memory
            before the next one comes, and the peak is near that of the largest graph.
    """

    def __init__(self, stages: Engine, *, keep_sessions: bool = True) -> None:
        self.bundle = stages.bundle
        self.keep_sessions = keep_sessions
        self._stages = stages
        self._tokenizers = tokenizers_of(stages.bundle)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        provider: Provider | Settings | None = None,
        *,
        keep_sessions: bool = True,
    ) -> Pipeline:
        """Open the bundle in `folder`; components load when they are first needed.

        Args:
            folder: the bundle.
            provider: `cuda`, `cpu`, None for CUDA where there is one, or all settings.
            keep_sessions: whether components stay loaded between calls.

        Raises:
            RequestError: where there is no bundle, it is not whole, or the provider is not there.

        Example:
            >>> Pipeline.open("bundle").draw("a lighthouse at dusk", seed=7).save("lighthouse.png")
        """
        engine = engine_of(Bundle.open(folder), provider, keep_graphs=keep_sessions)
        return cls(engine, keep_sessions=keep_sessions)

    def draw(
        self,
        prompt: str,
        *,
        steps: int = 1,
        seed: int = 0,
        image: Image.Image | None = None,
        strength: float = 0.5,
    ) -> Image.Image:
        """One picture: the first of what `generate` makes of the same arguments."""
        return self.generate(prompt, steps=steps, seed=seed, image=image, strength=strength).images[0]

    def generate(
        self,
        prompt: str,
        *,
        steps: int = 1,
        seed: int = 0,
        image: Image.Image | None = None,
        strength: float = 0.5,
        progress: ReportRuns | None = None,
    ) -> Result:
        """As many pictures of `prompt` as the bundle's batch has.

        Args:
            prompt: the text that describes the pictures.
            steps: 1 to 4, as the manifest's schedules say.
            seed: gives the noise that `torch.randn` draws for a batch from a generator of this seed.
            image: a picture of any mode and size to start from.
            strength: how much of `image` is drawn anew; `int(steps * strength)` steps run.
            progress: receives the component, the number of its completed runs and their total.

        Raises:
            RequestError: where the bundle lacks a component or the schedule, the strength leaves no step to
                run, onnxruntime fails, or the numbers leave their type's range.
        """
        require_types(prompt=(prompt, str), steps=(steps, Whole), seed=(seed, Whole), strength=(strength, Real))
        require_types(image=(image, Image.Image | None))
        require_unicode(prompt=prompt)
        steps, seed, strength = index(steps), index(seed), float(strength)
        size, wiring, stages = self.bundle.manifest.size, self.bundle.manifest.wiring, self._stages
        sampling = Sampling(steps, seed, None if image is None else strength)
        runs = self._require(sampling)
        stages.timings.clear()
        encoded, cut = self._encode(prompt, progress)
        start = None
        if image is not None:
            picture = images.to_sample(image, size.width, size.height)
            with self._at(str(wiring.encoder), progress):
                start = stages.encode_picture(np.repeat(picture, size.batch, axis=0))
            self._require_finite(str(wiring.encoder), start)
        conditions = stages.conditions(list(encoded.values()))
        with self._at(wiring.denoiser, progress, runs) as on_step:
            latents = stages.sample(conditions, sampling, start, on_step)
        self._require_finite(wiring.denoiser, latents)
        with self._at(wiring.decoder, progress):
            sample = stages.decode(latents)
        self._require_finite(wiring.decoder, sample)
        pictures = [Image.fromarray(pixels) for pixels in stages.tensors.pixels(sample)]
        flagged = self._flagged(pictures, progress)
        if any(flagged):
            pictures = safety.blackened(pictures, flagged)
        on_host = stages.tensors.read(latents)
        stages.tensors.release(latents, *conditions.values(), *([] if start is None else [start]))
        return Result(tuple(pictures), on_host, dict(stages.timings), cut, flagged)

    def release(self) -> None:
        """Give back the memory of all components."""
        self._stages.release()

    def _encode(self, prompt: str, progress: ReportRuns | None) -> tuple[dict[str, dict[str, Any]], str]:
        """What every text encoder makes of `prompt`, and what of the prompt was cut off."""
        encoded, cut = {}, ""
        for encoder, tokenizer in self._tokenizers.items():
            tokens = tokenizer.encode(prompt)
            cut = max(cut, tokens.cut, key=len)
            with self._at(encoder, progress):
                ids = np.repeat(tokens.ids, self.bundle.manifest.size.batch, axis=0)
                encoded[encoder] = self._stages.encode_text(encoder, ids)
            self._require_finite(encoder, *encoded[encoder].values())
        return encoded, cut

    def _flagged(self, pictures: Sequence[Image.Image], progress: ReportRuns | None) -> tuple[bool, ...]:
        """What the safety checker refuses, where the bundle has one."""
        checker = self.bundle.manifest.wiring.checker
        if checker is None or checker not in self.bundle.manifest.components:
            return ()
        with self._at(checker, progress):
            return tuple(self._stages.flagged(safety.clip_input(pictures)))

    @contextmanager
    def _at(self, component: str, progress: ReportRuns | None, runs: int = 1) -> Iterator[Callable[[int], None]]:
        """Around the work of `component`: tells how far it is, gives its memory back unless it is to stay."""
        told = progress or (lambda *_: None)
        told(component, 0, runs)
        try:
            yield lambda done: told(component, done, runs) if done < runs else None
        finally:
            if not self.keep_sessions:
                self._stages.release(component)
        told(component, runs, runs)

    def _require(self, sampling: Sampling) -> int:
        """Refuse before the first component loads what would fail after the last; else the denoiser's runs."""
        NoiseSource(sampling.seed)
        for component in self.bundle.family.text_to_image:
            self.bundle.chain(component)
        schedule = sampler.plan(self.bundle.manifest.schedules, sampling.steps)
        if sampling.strength is None:
            return len(schedule.steps)
        wiring = self.bundle.manifest.wiring
        if wiring.encoder is None:
            raise RequestError(f"{self.bundle.family.pipeline} draws from text alone", "give no image")
        self.bundle.chain(wiring.encoder)
        return len(schedule.steps) - sampler.entry(schedule, sampling.strength)

    def _require_finite(self, component: str, *values: Any) -> None:
        if not all(self._stages.tensors.finite(value) for value in values):
            precision = self.bundle.manifest.precision
            if component in self.bundle.manifest.components:
                self.bundle.require_intact(self.bundle.chain(component).files)  # damage is another cause
            raise RequestError(f"{component} gave numbers that are not finite in {precision}", _NOT_FINITE[precision])
