"""The training data of the embedded models: captions with latents, and the noise for each.

A caption does not state the size and exact position of its shape. A one-step model that is trained on independent
noise can only draw the blurred mean of all possible pictures. Here the noise encodes the choices of the scene, in the
means of its first channels. Noise and caption then determine the picture, and another seed draws another picture.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from turbo_webnn.models.shapes import CHOICES, Scene, caption, lay_out, render, scenes
from turbo_webnn.scripts.tiny.models import LATENT

# The timesteps of runs with 1, 2, 3 and 4 steps, and the frequency of each in training; the first is pure noise.
TIMESTEPS = {999: 0.5, 749: 0.14, 666: 0.06, 499: 0.14, 332: 0.06, 249: 0.1}
PREVIOUS_TIMESTEP = {999: 999, 749: 999, 666: 999, 499: 749, 332: 666, 249: 499}  # the previous timestep of each
REDRAWN = 0.3  # the fraction of later steps that start from another picture of the same layout, as in image to image
OWN_WAY = 0.7  # the fraction of later steps that start from the model's own previous step, after the first phase
REDRAW_SIGMA = 0.8  # with less noise a picture is only refined, not changed


@dataclass(frozen=True)
class Bank:
    """Captions with the latents of their pictures, made once before the training loop."""

    captions: list[str]
    choices: Tensor  # [n, 3], standard normal; the noise encodes them
    latents: Tensor  # [n, 4, 16, 16], scaled as the UNet sees them
    others: Tensor  # [n, 4, 16, 16], another shape in other colours with the same layout


@dataclass(frozen=True)
class Lesson:
    """One training batch: noisy latents, timesteps, captions, and the clean latents to predict."""

    rows: Tensor  # [batch], rows of the bank
    timesteps: Tensor  # [batch]
    sigmas: Tensor  # [batch, 1, 1, 1]
    noisy: Tensor  # [batch, 4, 16, 16], not yet scaled by 1 / sqrt(sigma² + 1)
    clean: Tensor  # [batch, 4, 16, 16]


def draw_scenes(count: int, random: np.random.Generator) -> list[Scene]:
    """Draw random training scenes; three in seven have no place, as in most prompts."""
    pool = scenes(held_out=False)
    weights = np.array([3.0 if scene.place is None else 1.0 for scene in pool])
    return [pool[row] for row in random.choice(len(pool), count, p=weights / weights.sum())]


def draw_pictures(chosen: list[Scene], choices: Tensor) -> Tensor:
    """The scenes' pictures, uint8 [n, 3, 128, 128]; `choices` [n, 3] are uniform."""
    pictures = [render(scene, lay_out(scene, row)) for scene, row in zip(chosen, choices.numpy(), strict=True)]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def to_pixels(pictures: Tensor) -> Tensor:
    """Convert uint8 values 0…255 to the VAE's range -1…1."""
    return pictures.float() / 127.5 - 1


def make_bank(vae: AutoencoderKL, count: int, seed: int) -> Bank:
    """Draw and encode `count` scenes."""
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    choices = torch.randn(count, CHOICES, generator=generator)
    uniform = torch.special.ndtr(choices)
    chosen, looks = draw_scenes(count, random), draw_scenes(count, random)
    others = [
        Scene(look.shape, look.colour, look.background, scene.size, scene.place)
        for scene, look in zip(chosen, looks, strict=True)
    ]
    return Bank(
        [caption(scene, random) for scene in chosen],
        choices,
        encode(vae, draw_pictures(chosen, uniform)),
        encode(vae, draw_pictures(others, uniform)),
    )


@torch.no_grad()  # type: ignore[untyped-decorator]
def encode(vae: AutoencoderKL, pictures: Tensor, batch: int = 64) -> Tensor:
    """Encode uint8 pictures as scaled latents on the CPU."""
    means = [vae.encode(to_pixels(part).to(vae.device)).latent_dist.mean.cpu() for part in pictures.split(batch)]
    return torch.cat(means) * vae.config.scaling_factor


def choose_rows(bank: Bank, size: int, random: np.random.Generator, *, from_nothing: bool) -> tuple[Tensor, Tensor]:
    """Choose random rows of the bank and their timesteps, [size] each.

    Args:
        bank: the training data.
        size: the size of the batch.
        random: the generator of random numbers.
        from_nothing: whether all start from pure noise, at the first timestep.
    """
    rows = torch.from_numpy(random.integers(len(bank.captions), size=size))
    timesteps = torch.from_numpy(random.choice(list(TIMESTEPS), size, p=list(TIMESTEPS.values())))
    return rows, torch.full_like(timesteps, 999) if from_nothing else timesteps


def make_lesson(
    bank: Bank,
    sigma_at: Tensor,
    rows: Tensor,
    timesteps: Tensor,
    random: np.random.Generator,
    *,
    fresh_noise: bool,
) -> Lesson:
    """Make a batch from the bank.

    Args:
        bank: the training data.
        sigma_at: the sigma of each of the 1000 timesteps.
        rows: of the bank.
        timesteps: for each row.
        random: the generator of random numbers.
        fresh_noise: whether the sampler adds new noise at each step (an ancestral sampler).
    """
    size, clean = len(rows), bank.latents[rows]
    sigmas, strongest = sigma_at[timesteps].view(-1, 1, 1, 1), sigma_at[999]

    generator = torch.Generator().manual_seed(int(random.integers(2**62)))
    noise = torch.randn(size, 4, LATENT, LATENT, generator=generator)
    encoded_noise = encode_choices(noise, bank.choices[rows])
    first = sigmas == strongest
    # After one step from pure noise the rest of the noise still encodes the choices, while it outweighs the picture.
    on_path = clean + sigmas * (encoded_noise - clean / strongest)

    redrawn = torch.from_numpy(random.random(size) < REDRAWN).view(-1, 1, 1, 1)
    start = torch.where(redrawn & (sigmas > REDRAW_SIGMA), bank.others[rows], clean)
    afresh = start + sigmas * noise

    walked = torch.zeros_like(first) if fresh_noise else (sigmas > 2) & ~redrawn
    return Lesson(
        rows=rows,
        timesteps=timesteps,
        sigmas=sigmas,
        noisy=torch.where(first | walked, on_path, afresh),
        clean=clean,
    )


def continue_own_path(
    lesson: Lesson, previous_lesson: Lesson, predicted: Tensor, random: np.random.Generator, *, fresh_noise: bool
) -> Lesson:
    """Replace the noisy latents of `lesson` by results of the model's own previous step.

    Args:
        lesson: the batch; rows at the first timestep stay unchanged.
        previous_lesson: the same rows at their previous timesteps.
        predicted: the latents that the model predicted for `previous_lesson`.
        random: the generator of random numbers.
        fresh_noise: whether the sampler adds new noise at each step.
    """
    noise = (previous_lesson.noisy - predicted) / previous_lesson.sigmas
    if fresh_noise:
        noise = torch.randn(noise.shape, generator=torch.Generator().manual_seed(int(random.integers(2**62))))
    uses_own_step = torch.from_numpy(random.random(len(lesson.rows)) < OWN_WAY) & (lesson.timesteps != 999)
    return replace(
        lesson, noisy=torch.where(uses_own_step.view(-1, 1, 1, 1), predicted + lesson.sigmas * noise, lesson.noisy)
    )


def log_line(line: str) -> None:
    """Print one line of the training log."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)  # noqa: T201


def encode_choices(noise: Tensor, choices: Tensor) -> Tensor:
    """Encode the choices in the means of the noise's first channels; it stays standard normal, as the choices are."""
    encoded_noise = noise.clone()
    means = noise[:, :CHOICES].mean(dim=(2, 3))  # [batch, 3], each of deviation 1 / LATENT
    encoded_noise[:, :CHOICES] += (choices / LATENT - means)[..., None, None]
    return encoded_noise
