"""Draws several prompts with a bundle, and arranges the pictures with their prompts on one sheet.

python -m turbo_webnn.scripts.contact_sheet BUNDLE -o sheet.png "a red circle on a blue background" …
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import click
from PIL import Image, ImageDraw, ImageFont

from turbo_webnn.runtime.draw.images import open_image
from turbo_webnn.runtime.draw.pipeline import Pipeline

MARGIN, LETTER = 8, 11
PAPER, INK = "white", "#333333"
COLUMNS = 4


def make_sheet(pictures: Sequence[tuple[str, Image.Image]], columns: int = COLUMNS) -> Image.Image:
    """Make a sheet of the pictures, all of one size, in rows of `columns`, each above its caption."""
    width, height = pictures[0][1].size
    font = ImageFont.load_default(LETTER)
    lines = [textwrap.wrap(caption, max(1, int(width / (0.52 * LETTER)))) for caption, _ in pictures]
    cell_width, cell_height = width + MARGIN, height + MARGIN + (max(map(len, lines)) + 1) * (LETTER + 2)
    rows = -(-len(pictures) // columns)
    paper = Image.new("RGB", (columns * cell_width + MARGIN, rows * cell_height + MARGIN), PAPER)
    pen = ImageDraw.Draw(paper)
    for position, ((_, picture), caption) in enumerate(zip(pictures, lines, strict=True)):
        row, column = divmod(position, columns)
        x, y = MARGIN + column * cell_width, MARGIN + row * cell_height
        paper.paste(picture, (x, y))
        pen.multiline_text((x, y + height + 2), "\n".join(caption), INK, font, spacing=2)
    return paper


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("prompts", nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@click.option("--steps", default=1, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the first picture; each next one has the next.")
@click.option("--image", type=click.Path(path_type=Path), help="A picture that all start from; it comes first.")
@click.option("--strength", default=0.5, show_default=True)
def main(
    bundle: Path, prompts: tuple[str, ...], output: Path, steps: int, seed: int, image: Path | None, strength: float
) -> None:
    """Draw PROMPTS with BUNDLE onto one sheet."""
    pipeline = Pipeline.open(bundle)
    start = None if image is None else open_image(image)
    pictures = [] if start is None else [("the picture to start from", start)]
    for number, prompt in enumerate(prompts):
        picture = pipeline.draw(prompt, steps=steps, seed=seed + number, image=start, strength=strength)
        pictures.append((prompt, picture))
    make_sheet(pictures, min(COLUMNS, len(pictures))).save(output)


if __name__ == "__main__":
    main()
