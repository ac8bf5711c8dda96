"""Size and quality of one checkpoint in many quantisation recipes, as JSON and as a table.

    python -m turbo_webnn.scripts.sweep_quantization SOURCE --work FOLDER

Pictures are compared with those of the float16 bundle. In addition to recipes from rules and budgets there is plain
round to nearest: 4 bits for every weight that supports them, in blocks of one length, scales from a block's range.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from turbo_webnn.export.exporter import export_bundle
from turbo_webnn.export.passes import simplify
from turbo_webnn.export.quantize.grid import BLOCKS
from turbo_webnn.export.quantize.recipe import Recipe
from turbo_webnn.export.quantize.sites import Site, sites
from turbo_webnn.export.request import native_size
from turbo_webnn.export.trace import trace
from turbo_webnn.export.weights import bind_weights
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.component import Component
from turbo_webnn.models.json_file import write_json
from turbo_webnn.models.precision import Precision
from turbo_webnn.models.source import Source, open_source
from turbo_webnn.runtime.page.quality import QUALITY
from turbo_webnn.runtime.verification.cases import PROMPTS
from turbo_webnn.runtime.verification.verify import PICTURES, verify

PROMPTS_TO_DRAW = PROMPTS[:4]
SEEDS = (0, 1, 2)
STEPS = (1, 4)
"""24 pictures from text, and one from a picture."""

BUDGETS = (1.0, 1.15, 1.4)
"""Size budgets as fractions of the size by the 4-bit rule."""


@dataclass(frozen=True)
class Point:
    """One bundle on the curve.

    Attributes:
        recipe: the name of the recipe.
        bytes: the size of all graphs.
        psnr: the mean PSNR of pictures against those of float16, in dB.
        worst_psnr: the lowest of them.
        unet: the worst relative L2 of the UNet's output, on the float16 bundle's inputs.
    """

    recipe: str
    bytes: int
    psnr: float
    worst_psnr: float
    unet: float

    def __str__(self) -> str:
        return f"| {self.recipe} | {self.bytes / 1e6:.2f} | {self.psnr:.1f} | {self.worst_psnr:.1f} | {self.unet:.4f} |"


def measure(name: str, bundle: Bundle, reference: Bundle) -> Point:
    """Verify `bundle` against `reference`; return its point."""
    report = verify(bundle, reference, prompts=PROMPTS_TO_DRAW, seeds=SEEDS, steps=STEPS)
    pictures = [row.figures.psnr for row in report.rows if row.component == PICTURES]
    predicted = [row.figures.relative_l2 for row in report.rows if row.component == "unet"]
    return Point(name, graph_bytes(bundle), statistics.mean(pictures), min(pictures), max(predicted))


def graph_bytes(bundle: Bundle) -> int:
    """The size of all graphs and their weights, in bytes."""
    return sum(file.bytes for chain in bundle.manifest.components.values() for file in chain.files)


def round_to_nearest(source: Source, block: int) -> Recipe:
    """Make the recipe of round to nearest in 4 bits.

    Blocks have `block` numbers, or fewer where `block` does not divide the size of a weight.
    """
    components = {}
    for component in source.family.components:
        grids = {site.name: [*site.grids(4), *site.grids(8)] for site in _quantizable_sites(source, component)}
        components[component.name] = {
            name: next(grid for grid in candidates if grid.block is None or grid.block <= block)
            for name, candidates in grids.items()
        }
    return Recipe(components, scales="range")


def _quantizable_sites(source: Source, component: Component) -> list[Site]:
    model = trace(component, source.config(component), native_size(source))
    bind_weights(model, component, source.checkpoint(component))
    return list(sites(simplify(model, "q4f16").graph))


def measure_points(source: Source, work: Path) -> Iterator[Point]:
    """Export the float16 bundle, then export and measure all recipes."""
    reference = export_bundle(source, work / "fp16", overwrite=True)

    def export_and_measure(name: str, precision: Precision, **options: Any) -> Point:
        folder = work / name.replace(" ", "-")
        return measure(name, export_bundle(source, folder, precision=precision, overwrite=True, **options), reference)

    yield export_and_measure("q8f16", "q8f16")
    by_rule = export_and_measure("q4f16", "q4f16")
    yield by_rule
    for fraction in BUDGETS:
        budget = int(fraction * by_rule.bytes)
        yield export_and_measure(f"q4f16 in {budget}", "q4f16", size_budget=budget)
    for block in BLOCKS:
        path = work / f"recipe-{block}.json"
        write_json(path, round_to_nearest(source, block).to_json())
        yield export_and_measure(f"plain in blocks of {block}", "q4f16", recipe=path)


def main() -> int:
    """Print the table as Markdown, row by row, and write the points as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), help="where bundles lie")
    parser.add_argument(
        "--json", type=Path, help="where to write the points; into the float16 bundle's report by default"
    )
    arguments = parser.parse_args()
    print("| recipe | MB | PSNR dB | worst | UNet's relative L2 |\n| --- | --- | --- | --- | --- |")  # noqa: T201
    measured_points = []
    for point in measure_points(open_source(arguments.source), arguments.work):
        print(point, flush=True)  # noqa: T201
        measured_points.append(asdict(point))
    write_json(arguments.json or arguments.work / "fp16" / QUALITY, measured_points)
    return 0


if __name__ == "__main__":
    sys.exit(main())
