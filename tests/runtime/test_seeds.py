"""A seed gives the picture of diffusers: image to image with sampled latents, from one generator on the CPU."""

from __future__ import annotations

from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import Export
from turbo_webnn import Pipeline
from turbo_webnn.models.source import EMBEDDED

PROMPT = "a red circle on a blue background"

CLASSES: dict[str, tuple[Any, dict[str, Any]]] = {
    "tiny": (diffusers.StableDiffusionImg2ImgPipeline, {"safety_checker": None}),
    "tiny-xl": (diffusers.StableDiffusionXLImg2ImgPipeline, {"add_watermarker": False}),
}


@pytest.fixture(scope="module", params=["tiny", "tiny-xl"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def theirs(name: str) -> Any:
    kind, words = CLASSES[name]
    pipeline = kind.from_pretrained(EMBEDDED[name], torch_dtype=torch.float32, low_cpu_mem_usage=False, **words)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def two(name: str, export_once: Export) -> Pipeline:
    """Two pictures at a time, sampled by default."""
    words = ("--precision", "fp32", "--batch", "2", "--sample-posterior")
    return Pipeline.open(export_once(f"{name}-posterior", *words, source=name), "cpu")


@pytest.fixture(scope="module")
def one(name: str, export_once: Export) -> Pipeline:
    """A layout that has the variance too, with the mean as its default."""
    words = ("--precision", "fp32", "--layout", "optimum")
    return Pipeline.open(export_once(f"{name}-optimum-fp32", *words, source=name), "cpu")


@pytest.fixture(scope="module")
def start(one: Pipeline) -> Image.Image:
    return one.draw("a green square on a yellow background", seed=2)


def expected(theirs: Any, start: Image.Image, seed: int, steps: int, strength: float, pictures: int) -> Any:
    drawn = theirs(
        PROMPT,
        image=start,
        strength=strength,
        num_inference_steps=steps,
        guidance_scale=0.0,
        num_images_per_prompt=pictures,
        generator=torch.Generator().manual_seed(seed),
    ).images
    return np.stack([np.asarray(picture, np.int16) for picture in drawn])


def difference(pictures: Any, images: tuple[Image.Image, ...]) -> int:
    """The largest difference of one byte."""
    return int(np.abs(np.stack([np.asarray(image, np.int16) for image in images]) - pictures).max())


@pytest.mark.parametrize(("steps", "strength"), [(1, 1.0), (2, 0.5), (3, 0.67), (4, 0.75)])
@pytest.mark.parametrize("seed", [0, 2**32 + 11])
def test_a_batch_of_one_picture(
    theirs: Any, two: Pipeline, start: Image.Image, seed: int, steps: int, strength: float
) -> None:
    drawn = two.generate(PROMPT, seed=seed, steps=steps, image=start, strength=strength)
    assert difference(expected(theirs, start, seed, steps, strength, 2), drawn.images) <= 1


@pytest.mark.parametrize("seed", [3, 4])
def test_a_layout_with_the_variance_samples_where_it_is_asked(
    theirs: Any, one: Pipeline, start: Image.Image, seed: int
) -> None:
    words: dict[str, Any] = {"seed": seed, "steps": 4, "image": start, "strength": 0.5}
    pictures = expected(theirs, start, seed, 4, 0.5, 1)
    assert difference(pictures, one.generate(PROMPT, sample_posterior=True, **words).images) <= 1
    means = [one.generate(PROMPT, sample_posterior=asked, **words).images for asked in (None, False)]
    assert means[0] == means[1]
    assert difference(pictures, means[0]) > 5  # not what diffusers draws


def test_the_mean_is_that_of_a_bundle_without_the_variance(
    two: Pipeline, start: Image.Image, name: str, export_once: Export
) -> None:
    words = ("--precision", "fp32", "--batch", "2")
    plain = Pipeline.open(export_once(f"{name}-two", *words, source=name), "cpu")
    request: dict[str, Any] = {"seed": 1, "steps": 2, "image": start}
    mean = plain.generate(PROMPT, **request)
    drawn = two.generate(PROMPT, sample_posterior=False, **request)
    np.testing.assert_allclose(drawn.latents, mean.latents, atol=1e-4)
    assert np.abs(two.generate(PROMPT, **request).latents - mean.latents).max() > 0.1
