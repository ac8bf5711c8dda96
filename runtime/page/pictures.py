"""Pictures side by side: of PyTorch, of this bundle, and their difference."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from html import escape

import numpy as np
from PIL import Image

from turbo_webnn.runtime.draw import images
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.page.markup import decibels
from turbo_webnn.runtime.verification.drawing import Case
from turbo_webnn.runtime.verification.parity import Figures

MAX_COMPARISONS = 6
"""The number of drawings on the page, the worst ones: three pictures each, which keep the page small enough to send."""

MAX_FACTOR = 1024
"""The largest amplification of a difference."""


def comparisons(
    reference: Mapping[Case, Float32Array], ours: Mapping[Case, Float32Array], figures: Mapping[Case, Figures]
) -> str:
    """The drawings with the largest errors, in their original order."""
    worst = sorted(figures, key=lambda case: (figures[case].finite, figures[case].psnr))[:MAX_COMPARISONS]
    articles = [_comparison(case, reference[case], ours[case], figures[case]) for case in figures if case in worst]
    return f'<div class="comparisons">{"".join(articles)}</div>' if articles else ""


def _comparison(case: Case, reference: Float32Array, ours: Float32Array, figures: Figures) -> str:
    expected, drawn = np.nan_to_num(reference[:1]), np.nan_to_num(ours[:1])  # the first of a batch
    difference = np.abs(images.to_unit(drawn) - images.to_unit(expected))
    factor = _factor(float(difference.max()))
    difference = np.clip(difference * factor, 0, 1) * 2 - 1
    panels = (
        ("PyTorch, float32", images.to_images(expected)[0]),
        ("this bundle", images.to_images(drawn)[0]),
        (f"difference × {factor}", images.to_images(difference)[0]),
    )
    prompt, kind = escape(case.prompt, quote=True), escape(case.kind)
    trio = "".join(
        f'<figure><img src="{_data_uri(image)}" width="{image.width}" height="{image.height}" '
        f'alt="{escape(name, quote=True)}: {prompt}" loading="lazy"><figcaption>{escape(name)}</figcaption></figure>'
        for name, image in panels
    )
    return (
        f'<article class="comparison"><h3>“{prompt}”</h3><p class="note">{kind}<br>{_figures_text(figures)}</p>'
        f'<div class="trio">{trio}</div></article>'
    )


def _figures_text(figures: Figures) -> str:
    if not figures.finite:
        return "not finite"
    similar = "" if figures.ssim is None else f"SSIM {figures.ssim:.5f}, "
    return f"PSNR {decibels(figures.psnr)}, {similar}at most {255 * figures.max_abs:.2f} of 255 apart"


def _factor(greatest: float) -> int:
    """The largest power of two that does not scale the greatest difference beyond white."""
    return (
        1 if greatest >= 0.5 else min(MAX_FACTOR, 2 ** math.floor(math.log2(1 / greatest))) if greatest else MAX_FACTOR
    )


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
