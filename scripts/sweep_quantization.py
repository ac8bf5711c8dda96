"""What a bundle loses by being smaller: size and quality of one checkpoint in many recipes, as JSON and as a table.

    python -m turbo_webnn.scripts.sweep_quantization SOURCE --work FOLDER

Pictures are compared with those of the float16 bundle. Beside what rules and budgets make there is plain round to
nearest: 4 bits for every weight that can have them, in blocks of one length, scales from a block's range.
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
from turbo_webnn.export.weights import bind
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.component import Component
from turbo_webnn.models.json_file import write_json
from turbo_webnn.models.precision import Precision
from turbo_webnn.models.source import Source, open_source
from turbo_webnn.runtime.page.quality import QUALITY
from turbo_webnn.runtime.verification.cases import PROMPTS
from turbo_webnn.runtime.verification.verify import PICTURES, verify

DRAWN = PROMPTS[:4]
SEEDS = (0, 1, 2)
STEPS = (1, 4)
"""24 pictures, and one from a picture."""

BUDGETS = (1.0, 1.15, 1.4)
"""Parts of what the rule of 4 bits takes."""


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
    report = verify(bundle, reference, prompts=DRAWN, seeds=SEEDS, steps=STEPS)
    pictures = [row.figures.psnr for row in report.rows if row.component == PICTURES]
    predicted = [row.figures.relative_l2 for row in report.rows if row.component == "unet"]
    return Point(name, graph_bytes(bundle), statistics.mean(pictures), min(pictures), max(predicted))


def graph_bytes(bundle: Bundle) -> int:
    """Bytes of all graphs and their weights."""
    return sum(file.bytes for chain in bundle.manifest.components.values() for file in chain.files)


def plain(source: Source, block: int) -> Recipe:
    """Round to nearest in 4 bits: blocks of `block` numbers, or of fewer where they do not divide a weight."""
    components = {}
    for component in source.family.components:
        grids = {site.name: [*site.grids(4), *site.grids(8)] for site in _sites(source, component)}
        components[component.name] = {
            name: next(grid for grid in each if grid.block is None or grid.block <= block)
            for name, each in grids.items()
        }
    return Recipe(components, scales="range")


def _sites(source: Source, component: Component) -> list[Site]:
    model = trace(component, source.config(component), native_size(source))
    bind(model, component, source.checkpoint(component))
    return list(sites(simplify(model, "q4f16").graph))


def points(source: Source, work: Path) -> Iterator[Point]:
    """All points, the float16 bundle being made first."""
    reference = export_bundle(source, work / "fp16", overwrite=True)

    def point(name: str, precision: Precision, **how: Any) -> Point:
        folder = work / name.replace(" ", "-")
        return measured(name, export_bundle(source, folder, precision=precision, overwrite=True, **how), reference)

    yield point("q8f16", "q8f16")
    by_rule = point("q4f16", "q4f16")
    yield by_rule
    for part in BUDGETS:
        budget = int(part * by_rule.bytes)
        yield point(f"q4f16 in {budget}", "q4f16", size_budget=budget)
    for block in BLOCKS:
        path = work / f"recipe-{block}.json"
        write_json(path, plain(source, block).to_json())
        yield point(f"plain in blocks of {block}", "q4f16", recipe=path)


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
