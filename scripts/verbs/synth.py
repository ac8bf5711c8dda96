"""`turbo-webnn synth`: writes an architecture with seeded random weights as a diffusers folder."""

from __future__ import annotations

from pathlib import Path

import click

from turbo_webnn.scripts.console import progress, show, show_json
from turbo_webnn.scripts.options import as_path, json_option, overwrite_option, seed_option


@click.command()
@click.argument("preset")
@click.option("-o", "--output", metavar="FOLDER", type=as_path, required=True, help="The folder or file to write.")
@seed_option
@click.option("--variant", metavar="fp16", help="Write that variant of the weights instead of float32.")
@click.option("--single-file", is_flag=True, help="Write one .safetensors file under the original names.")
@overwrite_option
@json_option
def synth(
    preset: str, output: Path, seed: int, variant: str | None, single_file: bool, overwrite: bool, as_json: bool
) -> None:
    """Write the architecture PRESET (sd-turbo, sdxl-turbo) with seeded random weights."""
    from turbo_webnn.models.synth import synthesize

    with progress(shown=not as_json) as report:
        synthesize(
            preset,
            output,
            seed=seed,
            variant=variant,
            single_file=single_file,
            overwrite=overwrite,
            report=lambda name, fraction: report(name, "writing", fraction),
        )
    if as_json:
        show_json({"folder": str(output), "preset": preset, "seed": seed, "variant": variant})
    else:
        show(f"{output}: {preset} with random weights of seed {seed}")
