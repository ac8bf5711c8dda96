"""Types and bounds for the config forms of parts.

The libraries build any module that a config describes, even with a million layers. The forms refuse such configs, and
values of wrong types, when a config is read. For keys that a config omits, the forms have the libraries' defaults.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

Layers = Annotated[int, Meta(ge=1, le=128)]
"""The deepest published text encoder has 32, the deepest block of a UNet 10."""

Width = Annotated[int, Meta(ge=1, le=32768)]
"""A number of channels or hidden units; the widest published layer of these families has 10240."""

Vocabulary = Annotated[int, Meta(ge=1, le=1_000_000)]
Positive = Annotated[float, Meta(gt=0)]
Side = Annotated[int, Meta(ge=1, le=4096)]

Blocks = Annotated[tuple[Width, ...], Meta(min_length=1, max_length=8)]
"""Channels block by block; published UNets and VAEs have 3 or 4."""

Names = Annotated[tuple[str, ...], Meta(min_length=1, max_length=8)]
PerHead = Width | Annotated[tuple[Width, ...], Meta(max_length=8)]
PerBlock = Layers | Annotated[tuple[Layers, ...], Meta(max_length=8)]

Flag = bool | None
Fraction = Annotated[float, Meta(ge=0, le=1)]
Kernel = Annotated[int, Meta(ge=1, le=15)]

Dtype = Literal["float16", "bfloat16", "float32", "float64", "auto"] | None
"""The type in which a CLIP model was saved, by torch's name, as its config states it."""

MOST_WEIGHTS = 40_000_000_000
"""The most weights of one module, by a rough estimate: the largest module that this project serves has 2.6e9."""


def require_types(channels: tuple[int, ...], *blocks: tuple[str, ...] | None) -> None:
    """Raise ValueError if a list of block types has another length than `channels`."""
    for names in blocks:
        if names is not None and len(names) != len(channels):
            raise ValueError(f"there are {len(names)} types of blocks for {len(channels)} numbers of channels")


def require_groups(channels: tuple[int, ...], groups: int | None) -> None:
    """Raise ValueError if the `groups` of a norm do not divide each of `channels`."""
    for width in channels:
        if groups is not None and width % groups:
            raise ValueError(f"{groups} groups do not divide {width} channels")


def require_plausible(weights: int) -> None:
    """Raise ValueError if a module has more than `MOST_WEIGHTS` weights."""
    if weights > MOST_WEIGHTS:
        raise ValueError(f"it would have some {weights / 1e9:.0f} billion weights, which no such model has")
