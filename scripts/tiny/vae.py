"""Training of the VAE that both embedded models share."""

from __future__ import annotations

from math import cos, pi

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from turbo_webnn.models.shapes import CHOICES
from turbo_webnn.scripts.tiny.lessons import draw_pictures, draw_scenes, encode, log_line, to_pixels
from turbo_webnn.scripts.tiny.models import build_vae

PICTURES = 4096
BATCH = 16
RATE = 3e-3
CROP = 64  # side in pixels: most training uses a quarter of a picture, because the network is almost local
WHOLE = 0.15  # the last fraction of the steps, which use whole pictures
DIVERGENCE = 1e-5  # the weight of the KL term, which limits the size of the latents


def train_vae(steps: int, seed: int, device: str) -> AutoencoderKL:
    """Train a VAE whose scaled latents have standard deviation 1 over the training pictures."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(PICTURES, CHOICES, generator=generator)
    pictures = draw_pictures(draw_scenes(PICTURES, np.random.default_rng(seed)), uniform)  # uint8 [n, 3, 128, 128]
    vae = build_vae().to(device).train()
    optimizer = torch.optim.AdamW(vae.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0)
    for step in range(steps):
        batch = pictures[torch.randint(PICTURES, (BATCH,), generator=generator)]
        if step < (1 - WHOLE) * steps:
            batch = _crop(batch, generator)
        loss, error = _loss(vae, to_pixels(batch).to(device))
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 50) * (0.505 + 0.495 * cos(pi * step / steps))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0:
            log_line(f"vae: step {step}, error {error:.5f}")
    vae.eval().register_to_config(scaling_factor=1.0)
    vae.register_to_config(scaling_factor=round(1 / encode(vae, pictures[:512]).std().item(), 5))
    return vae


def _crop(pictures: Tensor, generator: torch.Generator) -> Tensor:
    down, right = torch.randint(pictures.shape[-1] - CROP + 1, (2,), generator=generator).tolist()
    return pictures[:, :, down : down + CROP, right : right + CROP]


def _loss(vae: AutoencoderKL, pixels: Tensor) -> tuple[Tensor, float]:
    """The training loss, and the mean square error of the pixels."""
    posterior = vae.encode(pixels).latent_dist
    difference = vae.decode(posterior.sample()).sample - pixels
    error = difference.square().mean()
    divergence = posterior.kl().mean() / posterior.mean[0].numel()
    # The absolute error keeps flat areas flat and edges sharp; the square error alone gives small gradients there.
    return error + 0.3 * difference.abs().mean() + DIVERGENCE * divergence, error.item()
