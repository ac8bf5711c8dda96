"""The drawings of a verification: built-in prompts, seeds, numbers of steps, and one image-to-image drawing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.draw import sampler
from turbo_webnn.runtime.draw.posterior import choose_posterior
from turbo_webnn.runtime.draw.sampler import Sampling
from turbo_webnn.runtime.verification.drawing import Case

PROMPTS = tuple((Path(__file__).parent / "prompts.txt").read_text(encoding="utf-8").splitlines())
"""Scenes from the data set of the embedded models, and general scenes."""

IMAGE_STEPS, IMAGE_STRENGTH = 2, 0.5
"""Image to image is compared on the shortest run that keeps a part of the picture."""


def first_prompts(count: int) -> tuple[str, ...]:
    """The first `count` of PROMPTS; raises RequestError where there are fewer."""
    if not 1 <= count <= len(PROMPTS):
        raise RequestError(f"{count} prompts are not to be had", f"give 1 to {len(PROMPTS)}")
    return PROMPTS[:count]


def cases_of(bundle: Bundle, prompts: Sequence[str], seeds: Sequence[int], steps: Sequence[int]) -> list[Case]:
    """Make the cases: all combinations where the bundle can draw, otherwise those that its components need.

    Components are measured on the longest of `steps`. Text encoders are measured for the first seed only, because
    their inputs do not depend on the seed. The VAE's encoder is measured on the first picture.

    Raises:
        RequestError: where the bundle has no component to measure or no such schedule, or a sequence is empty.
    """
    if not (prompts and seeds and steps):
        raise RequestError("there is nothing to draw", "give a prompt, a seed and a number of steps at least")
    components, family = frozenset(bundle.manifest.components), bundle.family
    if components.isdisjoint(family.image_to_image):
        known_components = ", ".join(family.image_to_image)
        raise RequestError(f"{bundle.folder} has no component to verify", f"known are {known_components}")
    step_counts = steps if components.issuperset(family.text_to_image) else [max(steps)]
    text_encoders = frozenset(encoder.name for encoder in family.text_encoders)

    def measured(seed: int, count: int) -> frozenset[str]:
        run_components = components.intersection(family.text_to_image) if count == max(steps) else frozenset()
        return run_components if seed == seeds[0] else run_components - text_encoders

    cases = [
        Case(prompt, Sampling(count, seed), measured(seed, count))
        for prompt in prompts
        for seed in seeds
        for count in step_counts
    ]
    encoder = bundle.manifest.wiring.encoder
    if encoder in components:
        sampling = Sampling(IMAGE_STEPS, seeds[0], IMAGE_STRENGTH, choose_posterior(bundle))
        cases.append(Case(prompts[0], sampling, frozenset({encoder})))
    for case in cases:
        sampler.plan(bundle.manifest.schedules, case.sampling.steps)  # raises before anything is loaded
    return cases
