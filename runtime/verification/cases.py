"""What a verification draws: prompts that travel with this project, seeds, numbers of steps, and one picture anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.draw import sampler
from turbo_webnn.runtime.draw.sampler import Sampling
from turbo_webnn.runtime.verification.drawing import Case

PROMPTS = tuple((Path(__file__).parent / "prompts.txt").read_text(encoding="utf-8").splitlines())
"""Scenes of the embedded models' little world, and of the large one."""

IMAGE_STEPS, IMAGE_STRENGTH = 2, 0.5
"""Image to image is compared on the shortest run that keeps something of the picture."""


def first_prompts(count: int) -> tuple[str, ...]:
    """The first `count` of PROMPTS; RequestError where there are not so many."""
    if not 1 <= count <= len(PROMPTS):
        raise RequestError(f"{count} prompts are not to be had", f"give 1 to {len(PROMPTS)}")
    return PROMPTS[:count]


def cases_of(bundle: Bundle, prompts: Sequence[str], seeds: Sequence[int], steps: Sequence[int]) -> list[Case]:
    """Everything where the bundle can draw, else what its components are measured on.

    Components are measured on the longest of `steps`, text encoders for the first seed, for the others would tell
    them the same; the VAE's encoder on the first picture that is drawn.

    Raises:
        RequestError: where the bundle has no component to measure or no such schedule, or nothing is asked for.
    """
    if not (prompts and seeds and steps):
        raise RequestError("there is nothing to draw", "give a prompt, a seed and a number of steps at least")
    held, family = frozenset(bundle.manifest.components), bundle.family
    if held.isdisjoint(family.image_to_image):
        known = ", ".join(family.image_to_image)
        raise RequestError(f"{bundle.folder} has no component to verify", f"known are {known}")
    drawn = steps if held.issuperset(family.text_to_image) else [max(steps)]
    readers = frozenset(encoder.name for encoder in family.text_encoders)

    def measured(seed: int, count: int) -> frozenset[str]:
        through = held.intersection(family.text_to_image) if count == max(steps) else frozenset()
        return through if seed == seeds[0] else through - readers

    cases = [
        Case(prompt, Sampling(count, seed), measured(seed, count))
        for prompt in prompts
        for seed in seeds
        for count in drawn
    ]
    encoder = bundle.manifest.wiring.encoder
    if encoder in held:
        sampling = Sampling(IMAGE_STEPS, seeds[0], IMAGE_STRENGTH)
        cases.append(Case(prompts[0], sampling, frozenset({encoder})))
    for case in cases:
        sampler.plan(bundle.manifest.schedules, case.sampling.steps)  # refused before anything is loaded
    return cases
