from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.runtime.conftest import MakeBundle, schedule
from turbo_webnn.models.bundle import Bundle, Manifest
from turbo_webnn.models.component import Size
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.precision import Precision
from turbo_webnn.runtime.draw.device_stages import DeviceStages
from turbo_webnn.runtime.draw.engine import Engine, make_engine
from turbo_webnn.runtime.draw.noise import NoiseSource
from turbo_webnn.runtime.draw.pipeline import Pipeline
from turbo_webnn.runtime.draw.stages import Stages
from turbo_webnn.runtime.ort.settings import Settings

PROMPT = "a cat"
RED = Image.new("RGB", (24, 16), (255, 0, 0))


def renamed(manifest: Manifest) -> Manifest:
    """A layout whose UNet calls an input otherwise."""
    unet = replace(manifest.components["unet"], names={"timestep": "time"})
    return replace(manifest, components={**manifest.components, "unet": unet})


def both(bundle: Bundle, *, keep: bool = True) -> tuple[Pipeline, Pipeline]:
    """Bound to slots, and plain; the slots lie on the host, where both must give the same bits."""
    return (
        Pipeline(DeviceStages(bundle, "cpu", keep_graphs=keep), keep_sessions=keep),
        Pipeline(Stages(bundle, "cpu")),
    )


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("noise_scale", [0.0, 0.75])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_it_draws_the_same_bits(make_bundle: MakeBundle, precision: Precision, noise_scale: float, steps: int) -> None:
    made = make_bundle(precision, Size(2, 16, 24))
    manifest = replace(made.manifest, schedules={steps: schedule(steps, noise_scale)})
    bound, plain = both(Bundle(made.folder, manifest))
    for seed in (3, 4):  # the second overwrites the slots of the first
        drawn, expected = (pipeline.generate(PROMPT, steps=steps, seed=seed) for pipeline in (bound, plain))
        np.testing.assert_array_equal(drawn.latents, expected.latents)
        assert drawn.images == expected.images
        assert list(drawn.timings) == list(expected.timings)
    assert drawn.latents.dtype == np.float32
    assert len(drawn.images) == 2


@pytest.mark.parametrize("keep", [True, False])
def test_a_picture_in_a_chain_draws_the_same_bits(make_bundle: MakeBundle, keep: bool) -> None:
    bound, plain = both(make_bundle("fp16", cut=True), keep=keep)
    drawn, expected = (p.generate(PROMPT, steps=4, seed=7, image=RED, strength=0.5) for p in (bound, plain))
    np.testing.assert_array_equal(drawn.latents, expected.latents)
    assert drawn.images == expected.images


def test_a_real_bundle_draws_the_same_bits(tiny_fp16: Path) -> None:
    bound, plain = both(Bundle.open(tiny_fp16))
    drawn, expected = (pipeline.generate(PROMPT, steps=2, seed=1) for pipeline in (bound, plain))
    np.testing.assert_array_equal(drawn.latents, expected.latents)
    assert drawn.images == expected.images


@pytest.mark.parametrize("sampled", [True, False])
def test_an_encoder_that_gives_the_variance(tiny_posterior: Path, sampled: bool) -> None:
    bundle = Bundle.open(tiny_posterior)
    assert DeviceStages.supports(bundle)
    for seed in (1, 2):  # the second reuses the slots of the first
        drawn, expected = (
            pipeline.generate(PROMPT, steps=2, seed=seed, image=RED, sample_posterior=sampled)
            for pipeline in both(bundle)
        )
        np.testing.assert_allclose(drawn.latents, expected.latents, atol=1e-5)  # exp is rounded differently


def test_an_earlier_result_stays_what_it_was(make_bundle: MakeBundle) -> None:
    bound, _ = both(make_bundle())
    first = bound.generate(PROMPT, seed=1)
    latents, picture = first.latents.copy(), first.images[0].copy()
    bound.generate(PROMPT, seed=2)
    np.testing.assert_array_equal(first.latents, latents)
    assert first.images[0] == picture


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_told_by_component(
    make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    def one_bad(_source: NoiseSource, shape: tuple[int, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        noise = np.ones(shape, np.float32)
        noise.flat[-1] = value
        return noise

    monkeypatch.setattr(NoiseSource, "normal", one_bad)
    for pipeline in both(make_bundle("fp16")):
        with pytest.raises(RequestError, match="unet gave numbers that are not finite in fp16"):
            pipeline.draw(PROMPT)


def test_cuda_draws_on_the_device_where_the_layout_fits(make_bundle: MakeBundle) -> None:
    def engine(bundle: Bundle) -> type[Engine]:
        return type(make_engine(bundle, Settings("cuda"), keep_graphs=True))

    made = make_bundle()
    assert type(make_engine(made, "cpu", keep_graphs=True)) is Stages
    other = Bundle(made.folder, renamed(made.manifest))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("turbo_webnn.runtime.draw.device_stages.Slots", lambda _settings: _Nowhere())
        assert engine(made) is DeviceStages
        assert engine(other) is Stages


class _Nowhere:
    """Slots that are never asked for."""

    def at(self, *_: object) -> None:
        return None
