"""The pipeline: draws pictures from a prompt, or from a prompt and a picture."""

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
from turbo_webnn.runtime.draw.engine import Engine, make_engine
from turbo_webnn.runtime.draw.noise import NoiseSource
from turbo_webnn.runtime.draw.posterior import choose_posterior
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
"""The advice where a component's numbers leave the range of its type, by precision."""


@dataclass(frozen=True)
class Result:
    """The result of one call.

    Attributes:
        images: the pictures of the batch.
        latents: the final latents, float32 [batch, channels, h, w], in the sampler's scale.
        timings: seconds by component, in the order of the runs.
        prompt_cut: the part of the prompt that does not fit the text encoder; empty where all of it fits.
        flagged: for each picture whether the safety checker flags it. Flagged pictures are black. Empty where the
            bundle has no safety checker.
    """

    images: tuple[Image.Image, ...]
    latents: NDArray[np.float32]
    timings: Mapping[str, Timing]
    prompt_cut: str
    flagged: tuple[bool, ...] = ()


class Pipeline:
    """Draws with a bundle.

    Attributes:
        bundle: the bundle.
        keep_sessions: whether components stay loaded between calls. Where they do not, the memory of each component
            is freed before the next one loads, and the peak is close to that of the largest graph.
    """

    def __init__(self, engine: Engine, *, keep_sessions: bool = True) -> None:
        self.bundle = engine.bundle
        self.keep_sessions = keep_sessions
        self._engine = engine
        self._tokenizers = tokenizers_of(engine.bundle)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        provider: Provider | Settings | None = None,
        *,
        keep_sessions: bool = True,
    ) -> Pipeline:
        """Open the bundle in `folder`. Components load at their first run.

        Args:
            folder: the folder of the bundle.
            provider: `cuda`, `cpu`, None for CUDA where it is available, or all settings.
            keep_sessions: whether components stay loaded between calls.

        Raises:
            RequestError: where there is no bundle, it is incomplete, or the provider is not available.

        Example:
            >>> Pipeline.open("bundle").draw("a lighthouse at dusk", seed=7).save("lighthouse.png")
        """
        engine = make_engine(Bundle.open(folder), provider, keep_graphs=keep_sessions)
        return cls(engine, keep_sessions=keep_sessions)

    def draw(
        self,
        prompt: str,
        *,
        steps: int = 1,
        seed: int = 0,
        image: Image.Image | None = None,
        strength: float = 0.5,
        sample_posterior: bool | None = None,
    ) -> Image.Image:
        """Draw one picture: the first image of `generate` with the same arguments."""
        result = self.generate(
            prompt, steps=steps, seed=seed, image=image, strength=strength, sample_posterior=sample_posterior
        )
        return result.images[0]

    def generate(
        self,
        prompt: str,
        *,
        steps: int = 1,
        seed: int = 0,
        image: Image.Image | None = None,
        strength: float = 0.5,
        sample_posterior: bool | None = None,
        progress: ReportRuns | None = None,
    ) -> Result:
        """Draw pictures of `prompt`, as many as the bundle's batch size.

        Args:
            prompt: the text that describes the pictures.
            steps: the number of steps, one of the manifest's schedules (1 to 4).
            seed: the seed of the noise, which equals that of `torch.randn` for the batch with this seed.
            image: a picture to start from, of any mode and size.
            strength: how much `image` changes; `int(steps * strength)` steps run.
            sample_posterior: whether the latents of `image` are sampled, as diffusers' pipelines do, or are the mean.
                None does what the bundle was exported for.
            progress: receives the component, the number of its completed runs and their total.

        Raises:
            RequestError: where the bundle has no such component or schedule, or gives no variance to sample with, the
                strength leaves no step to run, onnxruntime fails, or numbers leave the range of their type.
        """
        require_types(prompt=(prompt, str), steps=(steps, Whole), seed=(seed, Whole), strength=(strength, Real))
        require_types(image=(image, Image.Image | None), sample_posterior=(sample_posterior, bool | None))
        require_unicode(prompt=prompt)
        steps, seed, strength = index(steps), index(seed), float(strength)
        size, wiring, engine = self.bundle.manifest.size, self.bundle.manifest.wiring, self._engine
        posterior = choose_posterior(self.bundle, sample_posterior)
        sampling = Sampling(steps, seed, None if image is None else strength, posterior)
        denoiser_runs = self._require_runnable(sampling)
        engine.timings.clear()
        encoded, cut = self._encode(prompt, progress)
        start = None
        if image is not None:
            picture = images.to_sample(image, size.width, size.height)
            with self._running(str(wiring.encoder), progress):
                start = engine.encode_picture(picture)
            self._require_finite(str(wiring.encoder), start.output)
        conditions = engine.conditions(list(encoded.values()))
        with self._running(wiring.denoiser, progress, denoiser_runs) as on_step:
            latents = engine.sample(conditions, sampling, start, on_step)
        self._require_finite(wiring.denoiser, latents)
        with self._running(wiring.decoder, progress):
            sample = engine.decode(latents)
        self._require_finite(wiring.decoder, sample)
        pictures = [Image.fromarray(pixels) for pixels in engine.tensors.to_pixels(sample)]
        flags = self._flag_unsafe(pictures, progress)
        if any(flags):
            pictures = safety.blacken(pictures, flags)
        host_latents = engine.tensors.read(latents)
        engine.tensors.release(latents, *conditions.values(), *([] if start is None else [start.output]))
        return Result(tuple(pictures), host_latents, dict(engine.timings), cut, flags)

    def release(self) -> None:
        """Free the memory of all components."""
        self._engine.release()

    def _encode(self, prompt: str, progress: ReportRuns | None) -> tuple[dict[str, dict[str, Any]], str]:
        """Encode `prompt` with every text encoder.

        Returns:
            The outputs of each encoder, and the part of the prompt that was cut.
        """
        encoded, cut = {}, ""
        for encoder, tokenizer in self._tokenizers.items():
            tokens = tokenizer.encode(prompt)
            cut = max(cut, tokens.cut, key=len)
            with self._running(encoder, progress):
                ids = np.repeat(tokens.ids, self.bundle.manifest.size.batch, axis=0)
                encoded[encoder] = self._engine.encode_text(encoder, ids)
            self._require_finite(encoder, *encoded[encoder].values())
        return encoded, cut

    def _flag_unsafe(self, pictures: Sequence[Image.Image], progress: ReportRuns | None) -> tuple[bool, ...]:
        """For each picture whether the safety checker flags it; empty where the bundle has no safety checker."""
        checker = self.bundle.manifest.wiring.checker
        if checker is None or checker not in self.bundle.manifest.components:
            return ()
        with self._running(checker, progress):
            return tuple(self._engine.flag_unsafe(safety.clip_input(pictures)))

    @contextmanager
    def _running(self, component: str, progress: ReportRuns | None, runs: int = 1) -> Iterator[Callable[[int], None]]:
        """Report the progress of `component` around its runs, and release it unless sessions are kept.

        Yields:
            A function to call with the number of completed runs.
        """
        report = progress or (lambda *_: None)
        report(component, 0, runs)
        try:
            yield lambda done: report(component, done, runs) if done < runs else None
        finally:
            if not self.keep_sessions:
                self._engine.release(component)
        report(component, runs, runs)

    def _require_runnable(self, sampling: Sampling) -> int:
        """Refuse what cannot run to its end, before the first component loads.

        Returns:
            The number of runs of the denoiser.
        """
        NoiseSource(sampling.seed)  # refuses seeds that torch does not accept
        for component in self.bundle.family.text_to_image:
            self.bundle.chain(component)
        schedule = sampler.plan(self.bundle.manifest.schedules, sampling.steps)
        if sampling.strength is None:
            return len(schedule.steps)
        wiring = self.bundle.manifest.wiring
        if wiring.encoder is None:
            raise RequestError(f"{self.bundle.family.pipeline} draws from text alone", "give no image")
        self.bundle.chain(wiring.encoder)
        return len(schedule.steps) - sampler.first_step(schedule, sampling.strength)

    def _require_finite(self, component: str, *values: Any) -> None:
        if not all(self._engine.tensors.is_finite(value) for value in values):
            precision = self.bundle.manifest.precision
            if component in self.bundle.manifest.components:
                self.bundle.require_intact(self.bundle.chain(component).files)  # damaged files are another cause
            raise RequestError(f"{component} gave numbers that are not finite in {precision}", _NOT_FINITE[precision])
