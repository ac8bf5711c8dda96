"""How near two pictures are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def psnr(found: NDArray[np.uint8], expected: NDArray[np.uint8]) -> float:
    """In dB, of pictures in eight bits."""
    error = np.mean((found.astype(np.float64) - expected.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))
