from __future__ import annotations

import math

import numpy as np
import pytest

from turbo_webnn.runtime.verification.similarity import ssim


def test_equal_pictures_are_alike() -> None:
    picture = np.random.default_rng(0).random((2, 3, 16, 24), np.float32)
    assert ssim(picture, picture) == pytest.approx(1.0, abs=1e-12)


def test_flat_pictures_by_hand() -> None:
    """Without variance the formula is that of the means: (2ab + C₁) / (a² + b² + C₁)."""
    flat = [np.full((1, 3, 16, 16), value, np.float32) for value in (0.25, 0.75)]
    assert ssim(*flat) == pytest.approx((2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4), rel=1e-6)


def test_the_figure_of_another_implementation() -> None:
    """scikit-image 0.26, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, over whole windows."""
    y, x = np.mgrid[:40, :56]
    a = np.stack([(np.sin(x / 5 + c) + np.cos(y / 7)) / 4 + 0.5 for c in range(3)])
    b = np.clip(a * 0.8 + 0.05 * np.sin(x * y / 9.0), 0, 1)
    assert ssim(a.astype(np.float32), b.astype(np.float32)) == pytest.approx(0.8054557318, abs=1e-6)


def test_a_picture_smaller_than_the_window() -> None:
    picture = np.random.default_rng(0).random((1, 3, 8, 8), np.float32)
    assert ssim(picture, picture) == pytest.approx(1.0)
    assert ssim(picture, picture[..., ::-1]) < 0.5


def test_what_is_not_finite_is_like_nothing() -> None:
    picture = np.zeros((1, 3, 16, 16), np.float32)
    broken = picture.copy()
    broken[0, 1, 8, 8] = math.nan
    assert math.isnan(ssim(picture, broken))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        ssim(np.zeros((1, 3, 16, 16), np.float32), np.zeros((1, 3, 16, 24), np.float32))
