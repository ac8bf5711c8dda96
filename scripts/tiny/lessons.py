"""What the embedded models are taught: captions with their latents, and the noise that each is drawn from.

A caption leaves its shape's size and exact place open, and with one step a model trained on free noise can
only draw the blurred mean of all answers. Here the noise answers: the means of its first channels are the
scene's open choices, so that from noise and caption to picture there is a function to learn, and another
seed draws another picture.
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

# The timesteps that 1, 2, 3 and 4 steps visit, and how often each is trained: the first draws from nothing.
TIMESTEPS = {999: 0.5, 749: 0.14, 666: 0.06, 499: 0.14, 332: 0.06, 249: 0.1}
BEFORE = {999: 999, 749: 999, 666: 999, 499: 749, 332: 666, 249: 499}  # the timestep that leads to each
REDRAWN = 0.3  # of the later steps start from another picture with the same layout, as image to image does
OWN_WAY = 0.7  # of the later steps start, once the model can draw, from where its own step before led
REDRAW_SIGMA = 0.8  # below this much noise a picture is only finished, not changed


@dataclass(frozen=True)
class Bank:
    """Captions with their pictures' latents, made once: the renderer and the encoder are not in the loop."""

    captions: list[str]
    choices: Tensor  # [n, 3], standard normal: what the noise says about each
    latents: Tensor  # [n, 4, 16, 16], scaled as the UNet sees them
    others: Tensor  # [n, 4, 16, 16], another shape in other colours with the same layout


@dataclass(frozen=True)
class Lesson:
    """One batch: from noisy latents, at a timestep, under a caption, to clean latents."""

    rows: Tensor  # [batch], where in the bank
    timesteps: Tensor  # [batch]
    sigmas: Tensor  # [batch, 1, 1, 1]
    noisy: Tensor  # [batch, 4, 16, 16], not yet scaled by 1 / sqrt(sigma² + 1)
    clean: Tensor  # [batch, 4, 16, 16]


def draw_scenes(count: int, random: np.random.Generator) -> list[Scene]:
    """Scenes to train on; three in seven leave the place open, as most prompts do."""
    pool = scenes(held_out=False)
    weights = np.array([3.0 if scene.place is None else 1.0 for scene in pool])
    return [pool[row] for row in random.choice(len(pool), count, p=weights / weights.sum())]


def draw_pictures(chosen: list[Scene], choices: Tensor) -> Tensor:
    """The scenes' pictures, uint8 [n, 3, 128, 128]; `choices` [n, 3] are uniform."""
    pictures = [render(scene, lay_out(scene, row)) for scene, row in zip(chosen, choices.numpy(), strict=True)]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def to_pixels(pictures: Tensor) -> Tensor:
    """uint8 0…255 as the VAE's -1…1."""
    return pictures.float() / 127.5 - 1


def make_bank(vae: AutoencoderKL, count: int, seed: int) -> Bank:
    """Draws and encodes `count` scenes."""
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
    """Latents of uint8 pictures, scaled, on the CPU."""
    means = [vae.encode(to_pixels(part).to(vae.device)).latent_dist.mean.cpu() for part in pictures.split(batch)]
    return torch.cat(means) * vae.config.scaling_factor


def choose(bank: Bank, size: int, random: np.random.Generator, *, from_nothing: bool) -> tuple[Tensor, Tensor]:
    """Rows of the bank and the timesteps to draw them from, [size] each.

    `from_nothing`: all start from pure noise, at the first timestep.
    """
    rows = torch.from_numpy(random.integers(len(bank.captions), size=size))
    timesteps = torch.from_numpy(random.choice(list(TIMESTEPS), size, p=list(TIMESTEPS.values())))
    return rows, torch.full_like(timesteps, 999) if from_nothing else timesteps


def take_lesson(
    bank: Bank,
    sigma_at: Tensor,
    rows: Tensor,
    timesteps: Tensor,
    random: np.random.Generator,
    *,
    fresh_noise: bool,
) -> Lesson:
    """A batch from the bank. `sigma_at` holds the sigma of each of the 1000 timesteps.

    `fresh_noise`: an ancestral sampler adds new noise at each step, a plain one walks on along the first.
    """
    size, clean = len(rows), bank.latents[rows]
    sigmas, strongest = sigma_at[timesteps].view(-1, 1, 1, 1), sigma_at[999]

    generator = torch.Generator().manual_seed(int(random.integers(2**62)))
    noise = torch.randn(size, 4, LATENT, LATENT, generator=generator)
    told = tell_choices(noise, bank.choices[rows])
    first = sigmas == strongest
    # One step from pure noise: what is left of the noise still tells, as long as it outweighs the picture.
    on_path = clean + sigmas * (told - clean / strongest)

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


def walk_on(lesson: Lesson, before: Lesson, seen: Tensor, random: np.random.Generator, *, fresh_noise: bool) -> Lesson:
    """`lesson` from where the model's own step before it leads, whose picture `seen` was; its first steps stay."""
    noise = (before.noisy - seen) / before.sigmas
    if fresh_noise:
        noise = torch.randn(noise.shape, generator=torch.Generator().manual_seed(int(random.integers(2**62))))
    own = torch.from_numpy(random.random(len(lesson.rows)) < OWN_WAY) & (lesson.timesteps != 999)
    return replace(lesson, noisy=torch.where(own.view(-1, 1, 1, 1), seen + lesson.sigmas * noise, lesson.noisy))


def say(line: str) -> None:
    """One line of the training's log."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)  # noqa: T201


def tell_choices(noise: Tensor, choices: Tensor) -> Tensor:
    """Noise whose first channels' means say the choices; still standard normal, as the choices are."""
    told = noise.clone()
    means = noise[:, :CHOICES].mean(dim=(2, 3))  # [batch, 3], each of deviation 1 / LATENT
    told[:, :CHOICES] += (choices / LATENT - means)[..., None, None]
    return told
