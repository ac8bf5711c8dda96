from __future__ import annotations

import math

import numpy as np
import pytest

from turbo_webnn.models.precision import PRECISIONS, Precision
from turbo_webnn.runtime.verification.parity import (
    BROWSER_GATES,
    COMPONENT_GATES,
    EXACT,
    PICTURE_GATES,
    Figures,
    Gate,
    compare,
    compare_pictures,
)


def test_figures_by_hand() -> None:
    figures = compare(np.array([0.0, 3.0, 4.0]), np.array([0.0, 3.0, 5.0]))
    assert figures.max_abs == 1
    assert figures.relative_l2 == pytest.approx(1 / 5)
    assert figures.psnr == pytest.approx(10 * math.log10(4**2 / (1 / 3)))
    assert figures.cosine == pytest.approx((9 + 20) / (5 * math.sqrt(9 + 25)))
    assert figures.finite


def test_figures_over_many_blocks() -> None:
    random = np.random.default_rng(0)
    a = random.normal(size=(3, 1000, 100)).astype(np.float16)
    b = (a + random.normal(size=a.shape) * 0.01).astype(np.float16)
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    figures = compare(a, b)
    assert figures.max_abs == np.abs(wide_a - wide_b).max()
    assert figures.psnr == pytest.approx(10 * math.log10(np.ptp(wide_a) ** 2 / np.mean((wide_a - wide_b) ** 2)))


def test_equal_arrays() -> None:
    figures = compare(np.zeros((2, 3)), np.zeros((2, 3)))
    assert figures == Figures(0.0, 0.0, math.inf, 1.0, finite=True)
    assert EXACT.passes(figures)
    assert COMPONENT_GATES["fp32"].passes(figures)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 70_000])
def test_what_is_not_finite_fails_every_gate(value: float, place: int) -> None:
    reference = np.linspace(-1, 1, 80_000, dtype=np.float32)
    candidate = reference.copy()
    candidate[place] = value
    figures = compare(reference, candidate)
    assert not figures.finite
    assert not Gate().passes(figures)
    assert figures.to_json()["psnr"] is None


def test_a_flat_reference_has_no_peak() -> None:
    figures = compare(np.ones(4), np.full(4, 1.5))
    assert figures.psnr == -math.inf
    assert not COMPONENT_GATES["fp16"].passes(figures)


def test_a_reference_of_zeros() -> None:
    figures = compare(np.zeros(4), np.ones(4))
    assert figures.relative_l2 == math.inf
    assert figures.cosine == 0


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        compare(np.zeros((2, 3)), np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("figures", "passed"),
    [
        (Figures(1, 0.1, 40.0, 0.999, finite=True), True),
        (Figures(1, 0.1, 39.9, 1.0, finite=True), False),
        (Figures(1, 0.1, 90.0, 0.998, finite=True), False),
        (Figures(1, 0.1, math.nan, 1.0, finite=True), False),
        (Figures(1, 0.1, 90.0, 1.0, finite=False), False),
    ],
)
def test_the_gate_of_fp16(figures: Figures, passed: bool) -> None:
    assert COMPONENT_GATES["fp16"].passes(figures) == passed


@pytest.mark.parametrize("gates", [COMPONENT_GATES, PICTURE_GATES, BROWSER_GATES])
def test_every_precision_has_its_gate(gates: dict[Precision, Gate]) -> None:
    assert tuple(gates) == PRECISIONS
    assert all(gate.to_json() for gate in gates.values())


def test_a_gate_states_only_its_bounds() -> None:
    assert COMPONENT_GATES["fp32"].to_json() == {"psnr": 80.0}
    assert EXACT.to_json() == {"max_abs": 0.0}


@pytest.mark.parametrize(("psnr", "similar", "passed"), [(35, 0.97, True), (34.9, 1, False), (90, 0.969, False)])
def test_the_gate_of_pictures(psnr: float, similar: float, passed: bool) -> None:
    assert PICTURE_GATES["fp16"].passes(Figures(1, 0.1, psnr, 1.0, finite=True, ssim=similar)) == passed


def test_a_bound_on_a_figure_that_is_not_there_is_missed() -> None:
    assert not PICTURE_GATES["fp16"].passes(Figures(0, 0, math.inf, 1.0, finite=True))


def test_pictures_have_a_similarity() -> None:
    picture = np.random.default_rng(0).random((1, 3, 16, 16), np.float32)
    figures = compare_pictures(picture, picture[:, :, ::-1])
    assert figures.psnr == compare(picture, picture[:, :, ::-1]).psnr
    assert figures.ssim is not None
    assert figures.ssim < 0.2
    assert figures.to_json()["ssim"] == figures.ssim
    assert "ssim" not in compare(picture, picture).to_json()
