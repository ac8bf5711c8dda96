"""Whether a picture shows its scene: plain measurements against the renderer's own masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np
import numpy.typing as npt

from turbo_webnn.models.shapes import (
    CENTRE,
    COLOURS,
    PICTURE,
    PLACED_SCALE,
    PLACES,
    SHAPES,
    SIZES,
    Geometry,
    Mask,
    Picture,
    Scene,
    mask,
    scenes,
)

BORDER = 3  # pixels: no shape reaches so near to the picture's edge
COLOUR_TOLERANCE = 80.0  # of 441, the distance between black and white; the nearest two colours lie 136 apart
SHAPE_OVERLAP = 0.8  # intersection over union; at the same area, a circle overlaps a square by 0.83
OFF_CENTRE = 10.0  # pixels from which a shape lies at a side
SPECK = 30  # pixels below which there is no shape: the smallest one covers 140


@dataclass(frozen=True)
class Verdict:
    """What of a scene its picture shows."""

    colour: bool = False
    background: bool = False
    shape: bool = False
    place: bool = False
    size: bool = False

    @property
    def all(self) -> bool:
        """Whether the picture shows every property of the scene."""
        return all(astuple(self))


@dataclass(frozen=True)
class Seen:
    """What a picture shows, whatever was asked; None where no name fits."""

    colour: str | None
    background: str | None
    shape: str | None
    geometry: Geometry
    coverage: Mask


def exam(count: int, seed: int = 0) -> list[Scene]:
    """Scenes to draw for a score, all held out of training: each says something else."""
    pool = scenes(held_out=True)
    return [pool[row] for row in np.random.default_rng(seed).choice(len(pool), count, replace=False)]


def score(pictures: Iterable[Picture], asked: Sequence[Scene]) -> dict[str, float]:
    """The fraction of pictures that show each thing that was asked for, and `all` of them."""
    verdicts = [judge(picture, scene) for picture, scene in zip(pictures, asked, strict=True)]
    names = (*(field.name for field in fields(Verdict)), "all")
    return {name: sum(getattr(verdict, name) for verdict in verdicts) / len(verdicts) for name in names}


def judge(picture: Picture, scene: Scene) -> Verdict:
    """Compares a picture with the scene that it should show."""
    seen = look(picture)
    if seen is None:
        return Verdict(background=_name(_border(picture)) == scene.background)
    return Verdict(
        colour=seen.colour == scene.colour,
        background=seen.background == scene.background,
        shape=seen.shape == scene.shape,
        place=_is_placed(seen, scene.place),
        size=_is_sized(seen.geometry.radius, scene),
    )


def look(picture: Picture) -> Seen | None:
    """Finds the main shape of a picture: None where there is nothing but background."""
    pixels = picture.astype(np.float32)  # [128, 128, 3]
    ground = _border(picture)
    inside = np.linalg.norm(pixels - ground, axis=-1) > COLOUR_TOLERANCE
    if inside.sum() < SPECK:
        return None
    colour = np.median(pixels[inside], axis=0)
    toward = colour - ground
    coverage = (pixels - ground) @ toward / (toward @ toward)
    coverage = np.clip(2 * coverage - 0.5, 0, 1).astype(np.float32)  # a faint haze covers nothing
    fits = {shape: _fit(shape, coverage) for shape in SHAPES}
    overlaps = {shape: _overlap(coverage, mask(shape, fits[shape])) for shape in SHAPES}
    best = max(overlaps, key=lambda shape: overlaps[shape])
    named = best if overlaps[best] > SHAPE_OVERLAP else None
    return Seen(_name(colour), _name(ground), named, fits[best], coverage)


def _fit(shape: str, coverage: Mask) -> Geometry:
    """The geometry at which a shape has this area and this centre of mass."""
    area = float(coverage.sum())
    rows, columns = np.indices(coverage.shape)
    x, y = float((coverage * columns).sum()) / area, float((coverage * rows).sum()) / area
    if shape == "circle":
        return Geometry(x, y, float(np.sqrt(area / np.pi)))
    if shape == "square":
        return Geometry(x, y, float(np.sqrt(area)) / 2)
    radius = float(np.sqrt(area / 2))
    return Geometry(x, y - radius / 3, radius)  # a triangle's mass lies a third of its height above the base


def _border(picture: Picture) -> npt.NDArray[np.float32]:
    edge = np.ones((PICTURE, PICTURE), dtype=bool)
    edge[BORDER:-BORDER, BORDER:-BORDER] = False
    return np.median(picture[edge].astype(np.float32), axis=0)


def _name(colour: npt.NDArray[np.float32]) -> str | None:
    distances = {name: float(np.linalg.norm(colour - np.array(known))) for name, known in COLOURS.items()}
    nearest = min(distances, key=lambda name: distances[name])
    return nearest if distances[nearest] < COLOUR_TOLERANCE else None


def _overlap(a: Mask, b: Mask) -> float:
    return float(np.minimum(a, b).sum() / np.maximum(a, b).sum())


def _is_placed(seen: Seen, place: str | None) -> bool:
    if place is None:
        middle = slice(PICTURE // 2 - 1, PICTURE // 2 + 1)
        return bool(seen.coverage[middle, middle].mean() > 0.5)
    x, y = seen.geometry.x - CENTRE, seen.geometry.y - CENTRE
    toward_x, toward_y = PLACES[place]
    return x * toward_x + y * toward_y > max(OFF_CENTRE, abs(x * toward_y) + abs(y * toward_x))


def _is_sized(radius: float, scene: Scene) -> bool:
    if scene.size is None:
        return True
    middle = (SIZES["small"][1] + SIZES["big"][0]) / 2 * (PLACED_SCALE if scene.place else 1.0)
    return (radius > middle) == (scene.size == "big")
