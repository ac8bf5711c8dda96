"""Muon, an optimizer for matrices: orthogonal momentum, so that all directions of a weight learn at the same rate.

After K. Jordan, "Muon: An optimizer for hidden layers in neural networks" (2024): the Newton-Schulz iteration
and its coefficients; the scale for the same learning rate as AdamW is from "Muon is scalable for LLM
training" (2025). torch.optim.Muon accepts matrices only; here a convolution counts as a matrix too, [out, in * 3 * 3].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ROUNDS = 5
MOMENTUM = 0.95
ADAM_RMS = 0.2  # the typical size of an entry of AdamW's step at learning rate 1


class Muon:
    """An optimizer that moves weights of two or more dimensions along their orthogonal momentum."""

    def __init__(self, weights: list[nn.Parameter]) -> None:
        self.weights = weights
        self._momenta = [torch.zeros_like(weight) for weight in weights]

    def step(self, rate: float) -> None:
        """Update all weights from their gradients, at the learning rate `rate`."""
        with torch.no_grad():
            for weight, momentum in zip(self.weights, self._momenta, strict=True):
                momentum.lerp_(weight.grad, 1 - MOMENTUM)
                ahead = weight.grad.lerp(momentum, MOMENTUM).flatten(1)
                update = orthogonal(ahead) * (ADAM_RMS * max(ahead.shape) ** 0.5)
                weight.sub_(update.view_as(weight), alpha=rate)


def orthogonal(matrix: Tensor) -> Tensor:
    """Approximate the nearest matrix with orthonormal rows or columns: singular values near 1, the same vectors."""
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(ROUNDS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x
