"""Structural similarity of pictures.

Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
similarity", IEEE Transactions on Image Processing 13(4), 2004.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WINDOW, DEVIATION = 11, 1.5
"""The Gaussian window: its side in pixels, and its standard deviation in pixels (section III-B)."""

_C1, _C2 = 0.01**2, 0.03**2
"""(K₁L)² and (K₂L)² for numbers of the range L = 1."""

Planes = NDArray[np.float64]


def ssim(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    """The mean SSIM of pictures [..., height, width] in 0…1, over the windows that are completely inside each plane.

    The result is 1 for equal pictures, and NaN where a number is not finite. Colour channels are separate planes.

    Raises:
        ValueError: where the shapes differ.
    """
    if reference.shape != candidate.shape:
        raise ValueError(f"shapes differ: {reference.shape} and {candidate.shape}")
    height, width = reference.shape[-2:]
    planes = zip(reference.reshape(-1, height, width), candidate.reshape(-1, height, width), strict=True)
    with np.errstate(invalid="ignore"):
        return float(np.mean([_plane(a.astype(np.float64), b.astype(np.float64)) for a, b in planes]))


def _plane(a: Planes, b: Planes) -> float:
    mean_a, mean_b = _blurred(a), _blurred(b)
    variance_a = _blurred(a * a) - mean_a * mean_a
    variance_b = _blurred(b * b) - mean_b * mean_b
    covariance = _blurred(a * b) - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    return float(np.mean(likeness / ((mean_a**2 + mean_b**2 + _C1) * (variance_a + variance_b + _C2))))


def _blurred(plane: Planes) -> Planes:
    """`plane` [height, width] under the Gaussian window: [height - 10, width - 10]; smaller on tiny planes."""
    window = min(WINDOW, *plane.shape)
    offsets = np.arange(window) - (window - 1) / 2
    weights = np.exp(-(offsets**2) / (2 * DEVIATION**2))
    weights /= weights.sum()
    height, width = (side - window + 1 for side in plane.shape)
    rows = sum(weight * plane[i : i + height] for i, weight in enumerate(weights))
    return np.asarray(sum(weight * rows[:, i : i + width] for i, weight in enumerate(weights)))
