"""The data set of the embedded models: captions of simple shapes, and the pictures of them.

A scene is the content of a caption; a geometry is the position and size of its shape. The choices are three numbers
in 0…1 for the properties that the caption does not state. Pictures are 128x128; pixel (row, column) has its centre at
(y, x).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.float32]  # [128, 128], the fraction of each pixel that the shape covers
Picture = npt.NDArray[np.uint8]  # [128, 128, 3]

PICTURE = 128  # pixels a side
CENTRE = (PICTURE - 1) / 2

SHAPES = ("circle", "square", "triangle")
COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 170, 70),
    "blue": (45, 80, 220),
    "yellow": (245, 210, 50),
    "black": (15, 15, 15),
    "white": (245, 245, 245),
}
# Half the height of a shape at the centre, in pixels; None: the caption states no size.
SIZES = {"small": (16.0, 22.0), "big": (32.0, 44.0), None: (16.0, 44.0)}
# The direction from the picture's centre as (x, y), y downwards; None: the shape covers the centre.
PLACES = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1), None: (0, 0)}

PLACED_SCALE = 0.75  # a shape at a side is smaller, so that it does not cover the centre
MARGIN = 5.0  # the minimum distance in pixels between a shape at a side and that side
SIDE_SLACK = 8.0  # the largest increase of that distance, in pixels
CENTRE_SLACK = 0.3  # as a fraction of the radius: with more, a triangle would not cover the picture's centre
ALONG_SLACK = 16.0  # the largest distance in pixels between a shape at a side and the middle of that side

CHOICES = 3  # the number of choices: the radius, x and y


@dataclass(frozen=True)
class Scene:
    """The content of a caption."""

    shape: str
    colour: str
    background: str
    size: str | None = None
    place: str | None = None


@dataclass(frozen=True)
class Geometry:
    """The bounding square of a shape: its centre and half its side, in pixels."""

    x: float
    y: float
    radius: float


def scenes(*, held_out: bool) -> list[Scene]:
    """All scenes of the grammar, either of the training set or of the held-out set.

    Args:
        held_out: whether to return the scenes that are held out of training.
    """
    combinations = product(enumerate(SHAPES), enumerate(COLOURS), enumerate(COLOURS))
    # About one combination in six, over all shapes, colours and backgrounds.
    chosen = [
        (shape, colour, background)
        for (i, shape), (j, colour), (k, background) in combinations
        if j != k and ((i + j + k) % 6 == 0) == held_out
    ]
    return [Scene(*combination, size, place) for combination in chosen for size in SIZES for place in PLACES]


def caption(scene: Scene, random: np.random.Generator) -> str:
    """Make a random caption of `scene`."""
    sizes = {"small": ("small", "small", "little", "tiny"), "big": ("big", "big", "large"), None: ("",)}
    places = ("at the {}", "on the {}", "near the {}", "at the {} side") if scene.place else ("",)
    sentences = (
        "a {thing} {place} on a {ground} background",
        "a {thing} on a {ground} background {place}",
        "a {thing} {place} on {ground}",
        "{thing} {place} on {ground} background",
        "a {ground} background with a {thing} {place}",
    )
    openings = ("", "", "", "a picture of", "a drawing of")
    size, place, sentence, opening = (
        options[random.integers(len(options))] for options in (sizes[scene.size], places, sentences, openings)
    )
    thing = f"{size} {scene.colour} {scene.shape}"
    words = sentence.format(thing=thing, ground=scene.background, place=place.format(scene.place))
    return " ".join(f"{opening} {words}".split())


def plain_caption(scene: Scene) -> str:
    """The simplest caption of `scene`: "a small green triangle at the left on a white background"."""
    place = f"at the {scene.place}" if scene.place else ""
    words = f"a {scene.size or ''} {scene.colour} {scene.shape} {place} on a {scene.background} background"
    return " ".join(words.split())


def lay_out(scene: Scene, choices: npt.ArrayLike) -> Geometry:
    """Compute the geometry of a scene's shape.

    Args:
        scene: the content of the caption.
        choices: three numbers in 0…1 for the radius, x and y.
    """
    size, across, down = np.asarray(choices, dtype=np.float64)
    smallest, biggest = SIZES[scene.size]
    radius = smallest + size * (biggest - smallest)
    across, down = 2 * across - 1, 2 * down - 1  # -1 … 1
    if scene.place is None:
        slack = CENTRE_SLACK * radius
        return Geometry(float(CENTRE + slack * across), float(CENTRE + slack * down), float(radius))
    radius *= PLACED_SCALE
    toward_x, toward_y = PLACES[scene.place]
    reach = CENTRE - MARGIN - radius  # the largest distance of the shape from the centre
    x = toward_x * (reach - SIDE_SLACK * (across + 1) / 2) + abs(toward_y) * ALONG_SLACK * across
    y = toward_y * (reach - SIDE_SLACK * (down + 1) / 2) + abs(toward_x) * ALONG_SLACK * down
    return Geometry(float(CENTRE + x), float(CENTRE + y), float(radius))


def mask(shape: str, geometry: Geometry) -> Mask:
    """The coverage of each pixel by the shape; it falls from 1 to 0 over the pixel that an edge crosses."""
    rows, columns = np.ogrid[:PICTURE, :PICTURE]
    x, y, radius = np.abs(columns - geometry.x), rows - geometry.y, geometry.radius
    if shape == "circle":
        outside = np.hypot(x, y) - radius
    elif shape == "square":
        outside = np.maximum(x, np.abs(y)) - radius
    else:  # the apex in the middle of the upper side, the base along the lower one
        outside = np.maximum((2 * x - y - radius) / np.sqrt(5), y - radius)
    return np.clip(0.5 - outside, 0, 1).astype(np.float32)


def render(scene: Scene, geometry: Geometry) -> Picture:
    """Draw the picture of a scene: a shape of one colour on a background of one colour."""
    coverage = mask(scene.shape, geometry)[..., None]  # [128, 128, 1]
    ground, shape = np.array(COLOURS[scene.background]), np.array(COLOURS[scene.colour])
    picture: Picture = np.rint(ground + coverage * (shape - ground)).astype(np.uint8)
    return picture
