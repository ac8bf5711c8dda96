"""The forms of the configs of CLIP's text encoders, and the common form of its text and vision models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from turbo_webnn.models.parts.forms.types import (
    Dtype,
    Fraction,
    Layers,
    Positive,
    Vocabulary,
    Width,
    require_plausible,
)


@dataclass(frozen=True)
class ClipForm:
    """The common config values of CLIP's text and vision models.

    Raises:
        ValueError: if the heads do not divide the width, or if the sizes are implausible.
    """

    hidden_size: Width
    intermediate_size: Width
    num_hidden_layers: Layers
    num_attention_heads: Width
    hidden_act: str = "quick_gelu"
    layer_norm_eps: Positive = 1e-5
    attention_dropout: Fraction = 0.0
    dtype: Dtype = None
    torch_dtype: Dtype = None

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            heads = f"{self.num_attention_heads} attention heads"
            raise ValueError(f"{heads} do not divide a width of {self.hidden_size}")
        layer = 4 * self.hidden_size**2 + 2 * self.hidden_size * self.intermediate_size
        require_plausible(self.num_hidden_layers * layer + self._embedding_weights())

    def _embedding_weights(self) -> int:
        """The number of weights of the embedding."""
        return 0


@dataclass(frozen=True)
class ClipTextForm(ClipForm):
    """The config of CLIPTextModel and CLIPTextModelWithProjection.

    Raises:
        ValueError: as `ClipForm`.
    """

    hidden_size: Width = 512
    intermediate_size: Width = 2048
    num_hidden_layers: Layers = 12
    num_attention_heads: Width = 8
    vocab_size: Vocabulary = 49408
    projection_dim: Width = 512
    max_position_embeddings: Width = 77
    eos_token_id: Annotated[int, Meta(ge=0)] = 49407

    def _embedding_weights(self) -> int:
        return self.vocab_size * self.hidden_size
