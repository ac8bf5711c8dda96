"""Trains the embedded models `tiny` and `tiny-xl` from a seed, on pictures that it draws itself.

    python -m turbo_webnn.scripts.train_tiny tiny tiny-xl --vae /tmp/tiny-vae

The VAE, which both models share, is trained first. Then, for each model, the text encoders are trained to read and the
UNet to draw. With two cores and no GPU, train the VAE first (without a model name), then each model in its own process.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from turbo_webnn.models.shapes import PICTURE
from turbo_webnn.scripts.tiny.lessons import (
    PREVIOUS_TIMESTEP,
    Bank,
    Lesson,
    choose_rows,
    continue_own_path,
    log_line,
    make_bank,
    make_lesson,
)
from turbo_webnn.scripts.tiny.models import MODELS, TinyModel, build, initialize_as_identity, load
from turbo_webnn.scripts.tiny.muon import Muon
from turbo_webnn.scripts.tiny.reader import encode_all_texts, train_text_encoders
from turbo_webnn.scripts.tiny.vae import train_vae

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MUON_RATE, ADAM_RATE, WARMUP, AVERAGE = 6e-3, 2e-3, 50, 0.998
BATCH = 16
BANK = 4096


@dataclass(frozen=True)
class Course:
    """The parameters of one training phase.

    Attributes:
        steps: the number of optimizer steps.
        pace: the factor of the learning rates at the start.
        from_nothing: the first fraction of the steps, which use pure noise only: this takes longest to learn.
        own_way: whether later timesteps start from the result of the model's own previous step.
    """

    steps: int
    pace: float
    from_nothing: float
    own_way: bool


DRAW = Course(steps=6000, pace=1.0, from_nothing=0.5, own_way=False)
GO_ON = Course(steps=1500, pace=0.4, from_nothing=0.0, own_way=True)


def main() -> None:
    """Train the models that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="tiny, tiny-xl; none: the VAE alone")
    parser.add_argument("--out", type=Path, default=MODELS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--go-on", action="store_true", help="from the models in --out, with the last course alone")
    parser.add_argument("--vae-steps", type=int, default=2000)
    parser.add_argument("--vae", type=Path, help="a folder: its VAE is taken, or trained and left there")
    args = parser.parse_args()

    torch.use_deterministic_algorithms(mode=True)
    torch.set_num_threads(1)  # another order of sums would give other weights
    vae = _load_or_train_vae(args.vae, args.vae_steps, args.seed)
    if not args.names:
        return
    bank = make_bank(vae, BANK, args.seed)
    for name in args.names:
        model = build(name, args.seed)
        model.vae.load_state_dict(vae.state_dict())
        model.vae.register_to_config(scaling_factor=vae.config.scaling_factor)
        if not args.go_on:
            train_text_encoders(model, args.seed, DEVICE)
            learn_to_draw(model, bank, DRAW, args.seed, args.out / name)
        # from the saved float16 weights, so that --go-on gives the same result
        learn_to_draw(load(name, args.out / name), bank, GO_ON, args.seed + 1, args.out / name)


def _load_or_train_vae(folder: Path | None, steps: int, seed: int) -> AutoencoderKL:
    if folder and folder.exists():
        return AutoencoderKL.from_pretrained(folder).to(DEVICE).eval()
    vae = train_vae(steps, seed, DEVICE)
    if folder:
        vae.save_pretrained(folder)
    return vae


def learn_to_draw(model: TinyModel, bank: Bank, course: Course, seed: int, folder: Path) -> None:
    """Train the UNet; write the model with the running average of its weights every 500 steps."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    if course is DRAW:
        initialize_as_identity(model.unet)
    model.unet.to(DEVICE).train()
    contexts, pooled = encode_all_texts(model, bank.captions)
    sigma_at = _sigmas(model)
    matrices, others = _split_weights(model.unet)
    muon, adam = Muon(matrices), torch.optim.AdamW(others, betas=(0.9, 0.99), weight_decay=0.01)
    weights = [*model.unet.parameters()]
    average = [weight.detach().clone() for weight in weights]
    recent: dict[int, float] = {}
    fresh_noise = pooled is not None
    for step in range(course.steps):
        rows, timesteps = choose_rows(bank, BATCH, random, from_nothing=step < course.from_nothing * course.steps)
        lesson = make_lesson(bank, sigma_at, rows, timesteps, random, fresh_noise=fresh_noise)
        text = contexts[rows], None if pooled is None else pooled[rows]
        if course.own_way:
            previous_timesteps = torch.tensor([PREVIOUS_TIMESTEP[timestep] for timestep in timesteps.tolist()])
            previous_lesson = make_lesson(bank, sigma_at, rows, previous_timesteps, random, fresh_noise=fresh_noise)
            predicted = _picture(model.unet, previous_lesson, text)
            lesson = continue_own_path(lesson, previous_lesson, predicted, random, fresh_noise=fresh_noise)
        sigmas, noisy, clean = (part.to(DEVICE) for part in (lesson.sigmas, lesson.noisy, lesson.clean))
        epsilon = predict(model.unet, noisy / (sigmas**2 + 1).sqrt(), lesson.timesteps, *text)
        # The error of the picture, not of the noise: it has the same weight at every timestep.
        errors = (noisy - sigmas * epsilon - clean).square().mean(dim=(1, 2, 3))  # [batch]
        _optimizer_step(errors.mean(), course.pace * _pace(step, course.steps), adam, muon)
        with torch.no_grad():
            torch._foreach_lerp_(average, weights, 1 - min(AVERAGE, step / (step + 10)))
        for timestep, error in zip(lesson.timesteps.tolist(), errors.tolist(), strict=True):
            recent[timestep] = 0.98 * recent.get(timestep, error) + 0.02 * error
        if step % 100 == 99:
            figures = " ".join(f"{timestep}: {recent[timestep]:.4f}" for timestep in sorted(recent))
            log_line(f"{model.name} draws: step {step + 1}, error at {figures}")
        if step % 500 == 499 or step == course.steps - 1:
            _save_average(model, weights, average, folder)


@torch.no_grad()  # type: ignore[untyped-decorator]
def _picture(unet: nn.Module, lesson: Lesson, text: tuple[Tensor, Tensor | None]) -> Tensor:
    """The latents of the picture that the model predicts for a lesson, on the CPU."""
    scaled = (lesson.noisy / (lesson.sigmas**2 + 1).sqrt()).to(DEVICE)
    return lesson.noisy - lesson.sigmas * predict(unet, scaled, lesson.timesteps, *text).cpu()


def predict(unet: nn.Module, scaled: Tensor, timesteps: Tensor, context: Tensor, pooled: Tensor | None) -> Tensor:
    """The noise in scaled latents that the UNet predicts, [n, 4, 16, 16]."""
    added = None
    if pooled is not None:
        sizes = scaled.new_tensor([PICTURE, PICTURE, 0, 0, PICTURE, PICTURE])
        added = {"text_embeds": pooled.to(DEVICE), "time_ids": sizes.expand(len(scaled), 6)}
    return unet(scaled, timesteps.to(DEVICE), context.to(DEVICE), added_cond_kwargs=added).sample


def _sigmas(model: TinyModel) -> Tensor:
    """The sigma of each of the 1000 timesteps."""
    alphas = model.pipeline().scheduler.alphas_cumprod
    return ((1 - alphas) / alphas).sqrt()


def _split_weights(unet: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split the weights: matrices for Muon, which needs fewer steps, and all others for AdamW."""
    # the first and last layers are matrices too, but Muon is for inner layers
    ends = ("conv_in.", "conv_out.", "time_emb", "add_emb")
    inner: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, weight in unet.named_parameters():
        (inner if weight.dim() > 1 and not any(end in name for end in ends) else others).append(weight)
    return inner, others


def _optimizer_step(loss: Tensor, pace: float, adam: torch.optim.AdamW, muon: Muon) -> None:
    """Do one optimizer step, with the gradient clipped to length 1."""
    weights = [*muon.weights, *(weight for group in adam.param_groups for weight in group["params"])]
    for weight in weights:
        weight.grad = None
    loss.backward()
    nn.utils.clip_grad_norm_(weights, 1.0)
    for group in adam.param_groups:
        group["lr"] = ADAM_RATE * pace
    adam.step()
    muon.step(MUON_RATE * pace)


def _pace(step: int, steps: int) -> float:
    """The schedule of the learning rate: a short warm-up, then half a cosine down to a hundredth."""
    return min(1.0, (step + 1) / WARMUP) * (0.505 + 0.495 * cos(pi * step / steps))


def _save_average(model: TinyModel, weights: list[nn.Parameter], average: list[Tensor], folder: Path) -> None:
    with torch.no_grad():
        latest = [weight.detach().clone() for weight in weights]
        for weight, mean in zip(weights, average, strict=True):
            weight.copy_(mean)
        model.save(folder)
        for weight, latest_value in zip(weights, latest, strict=True):
            weight.copy_(latest_value)


if __name__ == "__main__":
    main()
