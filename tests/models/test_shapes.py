"""The judge must be right before it may judge a model: here it meets the renderer's own pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from turbo_webnn.models.shapes import (
    COLOURS,
    PICTURE,
    SHAPES,
    Picture,
    Scene,
    caption,
    lay_out,
    mask,
    plain_caption,
    render,
    scenes,
)
from turbo_webnn.models.shapes_judge import exam, judge, look, score

PLAIN = Scene("circle", "red", "blue")


def draw(scene: Scene, choices: tuple[float, float, float] = (0.5, 0.5, 0.5)) -> Picture:
    return render(scene, lay_out(scene, choices))


def test_every_scene_is_recognised_in_its_own_picture() -> None:
    random = np.random.default_rng(0)
    asked = scenes(held_out=True) + scenes(held_out=False)[::5]
    pictures = [render(scene, lay_out(scene, random.random(3))) for scene in asked]
    assert set(score(pictures, asked).values()) == {1.0}


@pytest.mark.parametrize(
    ("fault", "asked"),
    [
        ("colour", replace(PLAIN, colour="green")),
        ("background", replace(PLAIN, background="yellow")),
        ("shape", replace(PLAIN, shape="square")),
        ("place", replace(PLAIN, place="left")),
        ("size", replace(PLAIN, size="small")),
    ],
)
def test_one_fault_is_found_and_nothing_else(fault: str, asked: Scene) -> None:
    verdict = judge(draw(replace(PLAIN, size="big")), asked)
    assert not getattr(verdict, fault)
    others = {"colour", "background", "shape", "place", "size"} - {fault}
    assert all(getattr(verdict, other) for other in others)


def test_an_empty_picture_shows_its_background_only() -> None:
    blue = np.full((PICTURE, PICTURE, 3), COLOURS["blue"], dtype=np.uint8)
    verdict = judge(blue, PLAIN)
    assert verdict.background
    assert not any((verdict.colour, verdict.shape, verdict.place, verdict.size))


def test_noise_shows_no_shape() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (PICTURE, PICTURE, 3), dtype=np.uint8)
    seen = look(noise)
    assert seen is None or seen.shape is None


@pytest.mark.parametrize("shape", SHAPES)
def test_a_haze_and_rounding_do_not_hide_a_shape(shape: str) -> None:
    scene = replace(PLAIN, shape=shape)
    hazy = draw(scene) + np.random.default_rng(0).normal(0, 12, (PICTURE, PICTURE, 3))
    assert judge(np.clip(hazy, 0, 255).astype(np.uint8), scene).all


def test_nothing_is_both_taught_and_asked() -> None:
    def looks(held_out: bool) -> set[tuple[str, str, str]]:
        return {(scene.shape, scene.colour, scene.background) for scene in scenes(held_out=held_out)}

    taught, asked = looks(held_out=False), looks(held_out=True)
    assert not taught & asked
    for part, names in enumerate((SHAPES, COLOURS, COLOURS)):
        assert {look[part] for look in taught} == {look[part] for look in asked} == set(names)


def test_an_unplaced_shape_covers_the_centre_whatever_else_is_open() -> None:
    middle = PICTURE // 2
    for shape in SHAPES:
        for corner in np.ndindex(2, 2, 2):
            geometry = lay_out(replace(PLAIN, shape=shape), corner)
            assert mask(shape, geometry)[middle - 1 : middle + 1, middle - 1 : middle + 1].min() > 0.5


def test_a_caption_says_all_of_its_scene() -> None:
    random = np.random.default_rng(0)
    for scene in scenes(held_out=False)[::10]:
        words = caption(scene, random).split()
        assert {scene.shape, scene.colour, scene.background} <= set(words)
        assert scene.place is None or scene.place in words
    assert plain_caption(PLAIN) == "a red circle on a blue background"
    small = Scene("triangle", "green", "white", "small", "left")
    assert plain_caption(small) == "a small green triangle at the left on a white background"


def test_an_exam_is_held_out_and_the_same_for_everyone() -> None:
    assert exam(24) == exam(24)
    assert set(exam(24)) <= set(scenes(held_out=True))
