from __future__ import annotations

import math

import pytest

from turbo_webnn.runtime.verification.noise_floor import PICTURE_ROUNDING, ROUNDING, NoiseFloor, noise_floor
from turbo_webnn.runtime.verification.parity import Figures


def figures(relative_l2: float, *, finite: bool = True, ssim: float | None = None) -> Figures:
    return Figures(0.1, relative_l2, 60.0, 1.0, finite, ssim)


def test_the_ratio_is_of_root_mean_squares() -> None:
    floor = noise_floor("unet", [figures(0.003), figures(0.004)], [figures(0.002), figures(0.002)], "fp16")
    assert floor.ours == pytest.approx(math.sqrt((9e-6 + 16e-6) / 2))
    assert floor.ratio == pytest.approx(floor.ours / 0.002)
    assert (floor.limit, floor.passed) == (1.5, False)


@pytest.mark.parametrize(("ours", "passed"), [(0.0029, True), (0.0031, False)])
def test_the_gate(ours: float, passed: bool) -> None:
    assert noise_floor("unet", [figures(ours)], [figures(0.002)], "fp16").passed is passed


def test_below_rounding_neither_is_better() -> None:
    floor = noise_floor("unet", [figures(ROUNDING * 0.9)], [figures(1e-7)], "fp16")
    assert (floor.ratio, floor.is_rounding, floor.passed) == (1.0, True, True)
    exact = noise_floor("unet", [figures(ROUNDING * 2)], [figures(0.0)], "fp16")
    assert (exact.ratio, exact.passed) == (2.0, False)


def test_pictures_are_rounded_to_eight_bits() -> None:
    floor = noise_floor("pipeline", [figures(PICTURE_ROUNDING, ssim=1.0)], [figures(1e-5, ssim=1.0)], "fp16")
    assert floor.ratio == 1.0


def test_where_a_side_leaves_its_range() -> None:
    broken = figures(math.nan, finite=False)
    assert noise_floor("vae_decoder", [figures(0.01)], [broken], "fp16").ratio == 0.0
    ours = noise_floor("vae_decoder", [broken], [figures(0.01)], "fp16")
    assert math.isnan(ours.ratio)
    assert not ours.passed
    assert ours.to_json() == {
        "component": "vae_decoder",
        "passed": False,
        "ours": None,
        "pytorch": 0.01,
        "ratio": None,
        "limit": 1.5,
    }


def test_a_type_without_a_gate_still_has_figures() -> None:
    assert NoiseFloor("unet", 0.5, 0.001, ROUNDING, None).passed
