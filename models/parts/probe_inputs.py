"""Seeded inputs for the measurement of parts: pictures and latents. Each function imports torch itself."""

from __future__ import annotations

from typing import Any


def seeded_generator() -> Any:
    """A torch generator whose numbers are the same in every run."""
    import torch

    return torch.Generator().manual_seed(0)


def pictures(shape: tuple[int, ...]) -> Any:
    """Two pictures [2, 3, height, width] in -1…1, with saturated squares and noise in both.

    One has smooth colours, one has black and white edges.
    """
    import torch

    _, _, height, width = shape
    down, across = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    smooth = torch.stack([down, across, -down * across])
    edges = torch.sign(torch.sin(20 * down) * torch.sin(33 * across)).expand(3, -1, -1)
    both = torch.stack([smooth, edges])
    third = height // 3
    both[:, 0, :third, :third] = 1.0  # saturated red
    both[:, 1:, :third, :third] = -1.0
    noise = torch.rand(both[..., -third:, -third:].shape, generator=seeded_generator())
    both[..., -third:, -third:] = 2 * noise - 1
    return both


def coarse_latents(shape: tuple[int, ...]) -> Any:
    """Latents of unit variance that vary slowly, as a picture's do."""
    import torch
    from torch.nn import functional

    batch, channels, height, width = shape
    coarse = torch.randn(batch, channels, height // 4, width // 4, generator=seeded_generator())
    return functional.interpolate(coarse, (height, width), mode="bicubic")
