"""Training of the text encoders of the embedded models, before the UNet: this is cheap."""

from __future__ import annotations

from math import cos, pi

import numpy as np
import torch
from torch import Tensor, nn
from transformers import CLIPTokenizer

from turbo_webnn.models.shapes import COLOURS, PLACES, SHAPES, SIZES, Scene, caption
from turbo_webnn.scripts.tiny.lessons import draw_scenes, log_line
from turbo_webnn.scripts.tiny.models import TinyModel

STEPS, RATE, BATCH = 400, 2e-3, 32

# The properties of a caption, and their possible values.
PROPERTIES: dict[str, list[str | None]] = {
    "shape": [*SHAPES],
    "colour": [*COLOURS],
    "background": [*COLOURS],
    "size": [*SIZES],
    "place": [*PLACES],
}
WIDTHS = [len(values) for values in PROPERTIES.values()]


def train_text_encoders(model: TinyModel, seed: int, device: str) -> None:
    """Train the text encoders to predict the properties of a caption, with temporary linear heads.

    The heads read the mean of all 77 tokens, which untrained cross attention reads too, and the pooled text where the
    model has it.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    encoders = nn.ModuleList(encoder for encoder in (model.text_encoder, model.text_encoder_2) if encoder is not None)
    encoders.to(device).train()
    with torch.no_grad():
        widths = [part.shape[-1] for part in encode_text(model, ["a"]) if part is not None]
    heads = nn.ModuleList(nn.Linear(width, sum(WIDTHS)) for width in widths).to(device)
    optimizer = torch.optim.AdamW([*encoders.parameters(), *heads.parameters()])
    for step in range(STEPS):
        chosen = draw_scenes(BATCH, random)
        context, pooled = encode_text(model, [caption(scene, random) for scene in chosen])
        features = [context.mean(dim=1)] + ([pooled] if pooled is not None else [])
        loss = sum(_reading_loss(head(part), chosen) for head, part in zip(heads, features, strict=True))
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 50) * (0.505 + 0.495 * cos(pi * step / STEPS))
        optimizer.step()
        if step % 100 == 99:
            log_line(f"{model.name} reads: step {step + 1}, loss {loss.item():.4f}")
    encoders.eval().requires_grad_(requires_grad=False)


def encode_text(model: TinyModel, captions: list[str]) -> tuple[Tensor, Tensor | None]:
    """The UNet's conditions: the context [n, 77, width] and, for XL, the pooled text [n, 64]."""
    device = model.text_encoder.device
    ids = _tokenize(model.tokenizer, captions, device)
    if model.text_encoder_2 is None:
        return model.text_encoder(ids).last_hidden_state, None
    first = model.text_encoder(ids, output_hidden_states=True).hidden_states[-2]
    ids_2 = _tokenize(model.tokenizer_2, captions, device)
    second = model.text_encoder_2(ids_2, output_hidden_states=True)
    return torch.cat([first, second.hidden_states[-2]], dim=-1), second.text_embeds


@torch.no_grad()  # type: ignore[untyped-decorator]
def encode_all_texts(model: TinyModel, captions: list[str], batch: int = 128) -> tuple[Tensor, Tensor | None]:
    """Call `encode_text` for many captions in batches; the results are on the CPU."""
    parts = [encode_text(model, captions[first : first + batch]) for first in range(0, len(captions), batch)]
    contexts = torch.cat([context.cpu() for context, _ in parts])
    pooled = [text.cpu() for _, text in parts if text is not None]
    return contexts, torch.cat(pooled) if pooled else None


def _reading_loss(logits: Tensor, chosen: list[Scene]) -> Tensor:
    """The cross entropy over the five properties of a caption; `logits` is [n, 23], property by property."""
    total = logits.new_zeros(())
    for (property_name, values), part in zip(PROPERTIES.items(), logits.split(WIDTHS, dim=1), strict=True):
        targets = [values.index(getattr(scene, property_name)) for scene in chosen]
        total = total + nn.functional.cross_entropy(part, torch.tensor(targets, device=logits.device))
    return total


def _tokenize(tokenizer: CLIPTokenizer, captions: list[str], device: torch.device) -> Tensor:
    return tokenizer(captions, padding="max_length", return_tensors="pt").input_ids.to(device)
