"""Checks whether a picture shows its scene, by comparison with the masks of the renderer."""

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

BORDER = 3  # width in pixels: no shape is so near to the picture's edge
COLOUR_TOLERANCE = 80.0  # of 441, the distance between black and white; the two nearest colours have the distance 136
SHAPE_OVERLAP = 0.8  # intersection over union; at the same area, a circle overlaps a square by 0.83
OFF_CENTRE = 10.0  # the distance in pixels from which a shape counts as at a side
SPECK = 30  # fewer pixels are no shape: the smallest shape covers 140


@dataclass(frozen=True)
class Verdict:
    """Which properties of a scene its picture shows."""

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
class Observation:
    """The measured content of a picture; None where no name fits."""

    colour: str | None
    background: str | None
    shape: str | None
    geometry: Geometry
    coverage: Mask


def exam(count: int, seed: int = 0) -> list[Scene]:
    """Choose `count` different scenes for a score, all held out of training."""
    pool = scenes(held_out=True)
    return [pool[row] for row in np.random.default_rng(seed).choice(len(pool), count, replace=False)]


def score(pictures: Iterable[Picture], requested: Sequence[Scene]) -> dict[str, float]:
    """The fraction of pictures that show each property of their scenes, and `all` properties.

    Args:
        pictures: in the order of the scenes.
        requested: the scenes that the pictures should show.
    """
    verdicts = [judge(picture, scene) for picture, scene in zip(pictures, requested, strict=True)]
    names = (*(field.name for field in fields(Verdict)), "all")
    return {name: sum(getattr(verdict, name) for verdict in verdicts) / len(verdicts) for name in names}


def judge(picture: Picture, scene: Scene) -> Verdict:
    """Compare a picture with the scene that it should show."""
    observation = look(picture)
    if observation is None:
        return Verdict(background=_colour_name(_background(picture)) == scene.background)
    return Verdict(
        colour=observation.colour == scene.colour,
        background=observation.background == scene.background,
        shape=observation.shape == scene.shape,
        place=_shows_place(observation, scene.place),
        size=_shows_size(observation.geometry.radius, scene),
    )


def look(picture: Picture) -> Observation | None:
    """Measure the main shape of a picture; return None where there is only background."""
    pixels = picture.astype(np.float32)  # [128, 128, 3]
    ground = _background(picture)
    inside = np.linalg.norm(pixels - ground, axis=-1) > COLOUR_TOLERANCE
    if inside.sum() < SPECK:
        return None
    colour = np.median(pixels[inside], axis=0)
    toward = colour - ground
    coverage = (pixels - ground) @ toward / (toward @ toward)
    coverage = np.clip(2 * coverage - 0.5, 0, 1).astype(np.float32)  # small differences count as background
    fits = {shape: _fit(shape, coverage) for shape in SHAPES}
    overlaps = {shape: _overlap(coverage, mask(shape, fits[shape])) for shape in SHAPES}
    best = max(overlaps, key=lambda shape: overlaps[shape])
    shape_name = best if overlaps[best] > SHAPE_OVERLAP else None
    return Observation(_colour_name(colour), _colour_name(ground), shape_name, fits[best], coverage)


def _fit(shape: str, coverage: Mask) -> Geometry:
    """The geometry of a shape with the area and the centre of mass of `coverage`."""
    area = float(coverage.sum())
    rows, columns = np.indices(coverage.shape)
    x, y = float((coverage * columns).sum()) / area, float((coverage * rows).sum()) / area
    if shape == "circle":
        return Geometry(x, y, float(np.sqrt(area / np.pi)))
    if shape == "square":
        return Geometry(x, y, float(np.sqrt(area)) / 2)
    radius = float(np.sqrt(area / 2))
    return Geometry(x, y - radius / 3, radius)  # a triangle's centre of mass is a third of its height above the base


def _background(picture: Picture) -> npt.NDArray[np.float32]:
    edge = np.ones((PICTURE, PICTURE), dtype=bool)
    edge[BORDER:-BORDER, BORDER:-BORDER] = False
    return np.median(picture[edge].astype(np.float32), axis=0)


def _colour_name(colour: npt.NDArray[np.float32]) -> str | None:
    distances = {name: float(np.linalg.norm(colour - np.array(reference))) for name, reference in COLOURS.items()}
    nearest = min(distances, key=lambda name: distances[name])
    return nearest if distances[nearest] < COLOUR_TOLERANCE else None


def _overlap(a: Mask, b: Mask) -> float:
    return float(np.minimum(a, b).sum() / np.maximum(a, b).sum())


def _shows_place(observation: Observation, place: str | None) -> bool:
    if place is None:
        middle = slice(PICTURE // 2 - 1, PICTURE // 2 + 1)
        return bool(observation.coverage[middle, middle].mean() > 0.5)
    x, y = observation.geometry.x - CENTRE, observation.geometry.y - CENTRE
    toward_x, toward_y = PLACES[place]
    return x * toward_x + y * toward_y > max(OFF_CENTRE, abs(x * toward_y) + abs(y * toward_x))


def _shows_size(radius: float, scene: Scene) -> bool:
    if scene.size is None:
        return True
    middle = (SIZES["small"][1] + SIZES["big"][0]) / 2 * (PLACED_SCALE if scene.place else 1.0)
    return (radius > middle) == (scene.size == "big")
