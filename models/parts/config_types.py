"""Types and bounds that the config forms of parts share.

The libraries build whatever a config asks for, a million layers too. The forms refuse that, and values of other types,
when a config is read. Defaults are the libraries' own, for keys that a config leaves out.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

Layers = Annotated[int, Meta(ge=1, le=128)]
"""The deepest published text encoder has 32, the deepest block of a UNet 10."""

Width = Annotated[int, Meta(ge=1, le=32768)]
"""Channels or hidden numbers; the widest published layer of these families has 10240."""

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
"""What a CLIP config says of the type that it was saved in: torch's name of it."""

MOST_WEIGHTS = 40_000_000_000
"""Weights that one module may come to, by a rough count: the largest that this project serves has 2.6e9."""


def require_types(channels: tuple[int, ...], *blocks: tuple[str, ...] | None) -> None:
    """Refuse lists of block types that are not as many as `channels`; ValueError says so."""
    for names in blocks:
        if names is not None and len(names) != len(channels):
            raise ValueError(f"there are {len(names)} types of blocks for {len(channels)} numbers of channels")


def require_groups(channels: tuple[int, ...], groups: int | None) -> None:
    """Refuse `groups` of a norm that do not divide each of `channels`; ValueError says so."""
    for width in channels:
        if groups is not None and width % groups:
            raise ValueError(f"{groups} groups do not divide {width} channels")


def require_plausible(weights: int) -> None:
    """Refuse a module of more than `MOST_WEIGHTS`; ValueError says so."""
    if weights > MOST_WEIGHTS:
        raise ValueError(f"it would have some {weights / 1e9:.0f} billion weights, which no such model has")
