"""`turbo-webnn generate`: draws a prompt with a bundle."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import click

from turbo_webnn.scripts.console import progress, show, show_json
from turbo_webnn.scripts.options import as_path, bundle_argument, json_option, seed_option, settings_options

if TYPE_CHECKING:
    from turbo_webnn.runtime.ort.settings import Settings


@click.command()
@bundle_argument
@click.argument("prompt")
@click.option("-o", "--output", metavar="OUT.png", type=as_path, required=True, help="The picture to write.")
@click.option("--steps", type=int, default=1, show_default=True, help="1 to 4.")
@seed_option
@click.option("--image", metavar="IN.png", type=as_path, help="A picture to start from.")
@click.option("--strength", type=float, default=0.5, show_default=True, help="How much of it is drawn anew.")
@click.option(
    "--sample-posterior/--no-sample-posterior",
    default=None,
    help="Sample the latents of that picture, as diffusers does, or take their mean; as exported by default.",
)
@settings_options()
@json_option
def generate(
    folder: Path,
    prompt: str,
    output: Path,
    steps: int,
    seed: int,
    image: Path | None,
    strength: float,
    sample_posterior: bool | None,
    settings: Settings,
    as_json: bool,
) -> None:
    """Draw PROMPT with onnxruntime."""
    from turbo_webnn.runtime.draw.image_files import require_image_place, save_images
    from turbo_webnn.runtime.draw.images import open_image
    from turbo_webnn.runtime.draw.pipeline import Pipeline

    require_image_place(output, apart_from=image)
    pipeline = Pipeline.open(folder, settings, keep_sessions=False)
    start = None if image is None else open_image(image)
    with progress(shown=not as_json) as report:
        result = pipeline.generate(
            prompt,
            steps=steps,
            seed=seed,
            image=start,
            strength=strength,
            sample_posterior=sample_posterior,
            progress=lambda name, done, total: report(name, "running", done / total),
        )
    paths = _output_paths(output, len(result.images))
    save_images(dict(zip(paths, result.images, strict=True)))
    if as_json:
        picture_paths = [str(path) for path in paths]
        show_json({"pictures": picture_paths, "prompt_cut": result.prompt_cut, "flagged": list(result.flagged)})
        return
    if result.prompt_cut:
        show(f"the prompt is longer than 77 tokens; left out: {result.prompt_cut}")
    for path, is_flagged in zip_longest(paths, result.flagged, fillvalue=False):
        show(f"{path}{' is black: the safety checker refused the picture' if is_flagged else ''}")


def _output_paths(output: Path, count: int) -> list[Path]:
    """The paths of `count` pictures: `output` for one picture, else `output` with a number for each."""
    if count == 1:
        return [output]
    return [output.with_stem(f"{output.stem}-{number}") for number in range(1, count + 1)]
