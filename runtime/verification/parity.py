"""The figures of the difference of two arrays, and the gates for them.

All figures are always computed; gates are separate. Both depend on the arrays only, not on their origin.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from turbo_webnn.models.precision import Precision
from turbo_webnn.runtime.verification.similarity import ssim

_BLOCK = 1 << 16
"""The number of values that are converted to float64 in one block."""


@dataclass(frozen=True)
class Figures:
    """The difference of an array from its reference.

    Attributes:
        max_abs: the greatest absolute difference.
        relative_l2: ‖difference‖ / ‖reference‖.
        psnr: in dB, with the reference's range (maximum - minimum) as peak; infinite where the two are equal.
        cosine: of the angle between the two as vectors.
        finite: whether all numbers of both are finite.
        ssim: structural similarity, at most 1; None where the arrays are not pictures.
    """

    max_abs: float
    relative_l2: float
    psnr: float
    cosine: float
    finite: bool
    ssim: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The figures as JSON; infinity and NaN become null."""
        values = {name: value for name, value in asdict(self).items() if name != "ssim" or value is not None}
        return {name: value if math.isfinite(value) else None for name, value in values.items()}


@dataclass(frozen=True)
class Gate:
    """The bounds that figures must reach to pass; NaN reaches no bound."""

    psnr: float = -math.inf
    cosine: float = -1.0
    max_abs: float = math.inf
    relative_l2: float = math.inf
    ssim: float = -1.0

    def passes(self, figures: Figures) -> bool:
        """Whether `figures` are finite and within every bound; a bound on a missing figure is not reached."""
        similar = self.ssim == Gate.ssim if figures.ssim is None else figures.ssim >= self.ssim
        return (
            figures.finite
            and similar
            and figures.psnr >= self.psnr
            and figures.cosine >= self.cosine
            and figures.max_abs <= self.max_abs
            and figures.relative_l2 <= self.relative_l2
        )

    def to_json(self) -> dict[str, float]:
        """The bounds that are set."""
        return {name: value for name, value in asdict(self).items() if value != getattr(Gate, name)}


EXACT = Gate(max_abs=0.0)
"""The gate for token ids, which must be equal."""

COMPONENT_GATES: dict[Precision, Gate] = {
    "fp32": Gate(psnr=80.0),
    "fp16": Gate(psnr=40.0, cosine=0.999),
    "q8f16": Gate(psnr=40.0, cosine=0.999),
    "q4f16": Gate(psnr=20.0, cosine=0.97),
}
"""The gates for one component on the reference's inputs.

Weights of 8 bits must reach the gate of float16. A weight that is rounded to 4 bits is 20 dB above its rounding noise,
so a component must reach 20 dB; with wrong scales or exchanged codes it is below 10 dB. The picture gate checks the
effect of the noise.
"""

PICTURE_GATES: dict[Precision, Gate] = {
    "fp32": Gate(psnr=70.0),
    "fp16": Gate(psnr=35.0, ssim=0.97),
    "q8f16": Gate(psnr=35.0),
    "q4f16": Gate(psnr=25.0),
}
"""The gates for a whole run, in which every component adds its error and sampling multiplies it by sigma.

70 dB is a root mean square error below a tenth of one of a picture's 255 steps, which is not visible.
"""


BROWSER_GATES: dict[Precision, Gate] = {
    "fp32": Gate(relative_l2=1e-3),
    "fp16": Gate(relative_l2=1e-2),
    "q8f16": Gate(relative_l2=1e-2),
    "q4f16": Gate(relative_l2=1e-2),
}
"""The gates for one graph in a browser, on the inputs of a real run, against onnxruntime on the CPU."""


def compare(reference: NDArray[Any], candidate: NDArray[Any]) -> Figures:
    """The figures of `candidate` against `reference`, in float64, computed in one pass over blocks.

    Raises:
        ValueError: where the shapes differ.
    """
    if reference.shape != candidate.shape:
        raise ValueError(f"shapes differ: {reference.shape} and {candidate.shape}")
    sums = np.zeros(4)  # squares of the difference, of the reference, of the candidate; products of the two
    max_abs, low, high = 0.0, math.inf, -math.inf
    flat_reference, flat_candidate = reference.reshape(-1), candidate.reshape(-1)
    with np.errstate(invalid="ignore", over="ignore"):  # an infinity is a result, not an error
        for start in range(0, reference.size, _BLOCK):
            a = flat_reference[start : start + _BLOCK].astype(np.float64)
            b = flat_candidate[start : start + _BLOCK].astype(np.float64)
            d = b - a
            sums += (d @ d, a @ a, b @ b, a @ b)
            max_abs = float(np.maximum(max_abs, np.abs(d).max()))  # np.maximum keeps a NaN, max() may not
            low, high = min(low, float(a.min())), max(high, float(a.max()))
    return _figures(sums, max_abs, high - low, reference.size)


def compare_pictures(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> Figures:
    """The figures of pictures [batch, channels, height, width] in 0…1, their structural similarity among them.

    Raises:
        ValueError: where the shapes differ.
    """
    return replace(compare(reference, candidate), ssim=ssim(reference, candidate))


def _figures(sums: NDArray[np.float64], max_abs: float, peak: float, count: int) -> Figures:
    error, square, candidate_square, product = (float(value) for value in sums)
    if not math.isfinite(error + square + candidate_square + product):
        return Figures(max_abs, math.nan, math.nan, math.nan, finite=False)
    if error == 0.0:
        return Figures(max_abs, 0.0, math.inf, 1.0, finite=True)
    norms = math.sqrt(square) * math.sqrt(candidate_square)
    return Figures(
        max_abs=max_abs,
        relative_l2=math.sqrt(error / square) if square else math.inf,
        psnr=10.0 * math.log10(peak**2 * count / error) if peak else -math.inf,
        cosine=min(product / norms, 1.0) if norms else 0.0,
        finite=True,
    )
