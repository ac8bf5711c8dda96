from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.draw.images import open_image, to_images, to_sample

MODES = (
    "1",
    "L",
    "P",
    "PA",
    "LA",
    "La",
    "RGB",
    "RGBX",
    "RGBA",
    "RGBa",
    "CMYK",
    "YCbCr",
    "HSV",
    "LAB",
    "I",
    "F",
    "I;16",
)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_comes_in(mode: str) -> None:
    sample = to_sample(Image.new(mode, (20, 30)), 24, 16)
    assert sample.shape == (1, 3, 16, 24)
    assert sample.dtype == np.float32
    assert np.abs(sample).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 999), (999, 1), (23, 15), (24, 16)])
def test_every_size_comes_in(size: tuple[int, int]) -> None:
    assert to_sample(Image.new("RGB", size), 24, 16).shape == (1, 3, 16, 24)


def test_pixels_of_the_right_size_are_kept_exactly() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    sample = to_sample(Image.fromarray(pixels), 24, 16)
    np.testing.assert_allclose(sample[0].transpose(1, 2, 0), pixels / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(to_images(sample)[0]), pixels)


def test_a_wide_picture_is_cropped_about_its_centre() -> None:
    picture = Image.new("RGB", (48, 16), "black")
    picture.paste("white", (12, 0, 36, 16))
    assert (to_sample(picture, 24, 16) == 1).all()


def test_transparency_is_laid_on_white() -> None:
    assert (to_sample(Image.new("RGBA", (24, 16), (0, 0, 0, 0)), 24, 16) == 1).all()


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    grey = Image.fromarray(np.full((16, 24), 0x8080, np.uint16))
    np.testing.assert_allclose(to_sample(grey, 24, 16), 128 / 127.5 - 1, atol=1e-6)


def test_a_picture_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    picture = Image.new("RGB", (24, 16), "black")
    picture.paste("white", (0, 0, 12, 16))
    exif = picture.getexif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: left becomes top
    picture.save(tmp_path / "side.png", exif=exif)
    upright = to_sample(open_image(tmp_path / "side.png"), 16, 24)
    assert (upright[0, :, :11] == 1).all()
    assert (upright[0, :, 13:] == -1).all()


def test_samples_are_clamped_and_rounded() -> None:
    sample = np.array([-9.0, -1.0, -0.5, 0.0, 0.999, 9.0], np.float32)
    picture = to_images(np.broadcast_to(sample, (2, 3, 1, 6)))
    assert len(picture) == 2
    assert np.asarray(picture[1])[0, :, 0].tolist() == [0, 0, 64, 128, 255, 255]


def test_a_file_that_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_text("not one")
    with pytest.raises(RequestError, match="not a readable picture"):
        open_image(tmp_path / "picture.png")
    with pytest.raises(RequestError, match="is missing"):
        open_image(tmp_path / "nothing.png")


def test_a_picture_that_is_cut_short(tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 50).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:900])
    with pytest.raises(RequestError, match="not a readable picture"):
        open_image(tmp_path / "cut.png")
