"""What a bundle loses by being smaller: size and quality of one checkpoint in many recipes, as JSON and as a table.

    python -m scripts.sweep_quantization SOURCE --work FOLDER

Pictures are compared with those of the float16 bundle. Each size is there twice: as round to nearest makes it, with
blocks of one length for all weights of 4 bits, and as `--size-budget` makes it of as many bytes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from export.exporter import export_bundle
from export.quantize.grid import BLOCKS, Grid
from export.quantize.recipe import RECIPE, Recipe, read_recipe
from models.bundle import Bundle
from models.json_file import write_json
from models.source import Source, open_source
from runtime.cases import PROMPTS
from runtime.page.quality import QUALITY
from runtime.verify import PICTURES, verify

SEEDS = (0, 1, 2)
STEPS = (1, 4)


@dataclass(frozen=True)
class Point:
    """One bundle on the curve.

    Attributes:
        bytes: of all its graphs.
        psnr: of pictures against float16's, in dB, their mean.
        unet: the worst relative L2 of what the UNet predicts, on the float16 bundle's inputs.
    """

    recipe: str
    bytes: int
    psnr: float
    worst_psnr: float
    unet: float

    def __str__(self) -> str:
        return f"| {self.recipe} | {self.bytes / 1e6:.2f} | {self.psnr:.1f} | {self.worst_psnr:.1f} | {self.unet:.4f} |"


def measured(name: str, bundle: Bundle, reference: Bundle) -> Point:
    """The point of `bundle`."""
    report = verify(bundle, reference, prompts=PROMPTS[:1], seeds=SEEDS, steps=STEPS)
    pictures = [row.figures.psnr for row in report.rows if row.component == PICTURES]
    predicted = [row.figures.relative_l2 for row in report.rows if row.component == "unet"]
    return Point(name, graph_bytes(bundle), statistics.mean(pictures), min(pictures), max(predicted))


def graph_bytes(bundle: Bundle) -> int:
    """Bytes of all graphs and their weights."""
    return sum(file.bytes for chain in bundle.manifest.components.values() for file in chain.files)


def in_blocks_of(recipe: Recipe, block: int) -> Recipe:
    """`recipe` by round to nearest, its weights of 4 bits in blocks of `block` numbers, or of fewer as they have."""
    components = {
        component: {
            name: Grid(4, min(block, grid.block)) if grid.bits == 4 and grid.block else grid
            for name, grid in grids.items()
        }
        for component, grids in recipe.components.items()
    }
    return replace(recipe, components=components, scales="range")


def points(source: Source, work: Path) -> Iterator[Point]:
    """All points, the float16 bundle being made first."""
    reference = export_bundle(source, work / "fp16", overwrite=True)
    for precision in ("q8f16", "q4f16"):
        bundle = export_bundle(source, work / precision, precision=precision, overwrite=True)
        yield measured(precision, bundle, reference)
    by_rule = read_recipe(work / "q4f16" / RECIPE)
    for block in BLOCKS:
        path = work / f"recipe-{block}.json"
        write_json(path, in_blocks_of(by_rule, block).to_json())
        plain = export_bundle(source, work / f"nearest-{block}", precision="q4f16", recipe=path, overwrite=True)
        yield measured(f"round to nearest, blocks of {block}", plain, reference)
        size = graph_bytes(plain)
        ours = export_bundle(source, work / f"budget-{block}", precision="q4f16", size_budget=size, overwrite=True)
        yield measured(f"--size-budget {size}", ours, reference)


def main() -> int:
    """Print the table as Markdown, row by row, and write the points as JSON."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("source")
    ask.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), help="where bundles lie")
    ask.add_argument("--json", type=Path, help="where to write the points; into the float16 bundle's report by default")
    said = ask.parse_args()
    print("| recipe | MB | PSNR dB | worst | UNet's relative L2 |\n| --- | --- | --- | --- | --- |")  # noqa: T201
    held = []
    for point in points(open_source(said.source), said.work):
        print(point, flush=True)  # noqa: T201
        held.append(asdict(point))
    write_json(said.json or said.work / "fp16" / QUALITY, held)
    return 0


if __name__ == "__main__":
    sys.exit(main())
