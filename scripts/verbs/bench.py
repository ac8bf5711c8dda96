"""`turbo-webnn bench`: times bundles, PyTorch and graphs of other exporters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.scripts.console import progress, show, show_json
from turbo_webnn.scripts.options import as_path, json_option, revision_options, settings_options
from turbo_webnn.scripts.tables import bench_table

if TYPE_CHECKING:
    from turbo_webnn.runtime.ort.settings import Settings


@click.command()
@click.argument("folders", metavar="BUNDLE...", type=as_path, nargs=-1, required=True)
@click.option("--reference", metavar="SOURCE", help="The checkpoint, to be timed in PyTorch beside.")
@revision_options
@click.option("--compile/--no-compile", "compiled", default=True, help="Through torch.compile too.")
@click.option("--graphs", metavar="FOLDER", type=as_path, help="Another exporter's COMPONENT/model.onnx beside.")
@click.option("--component", "components", metavar="NAME", multiple=True, help="Time this one alone; repeatable.")
@click.option("--steps", type=int, multiple=True, help="Of a drawing; repeatable. 1 and the most by default.")
@click.option("--rounds", type=int, default=10, show_default=True, help="That count.")
@click.option("--warmup", type=int, default=2, show_default=True, help="Rounds before them.")
@settings_options()
@json_option
def bench(
    folders: tuple[Path, ...],
    reference: str | None,
    variant: str | None,
    revision: str | None,
    compiled: bool,
    graphs: Path | None,
    components: tuple[str, ...],
    steps: tuple[int, ...],
    rounds: int,
    warmup: int,
    settings: Settings,
    as_json: bool,
) -> None:
    """Time bundles by component and end to end, beside PyTorch; several, for throughput by batch."""
    from turbo_webnn.runtime.bench.bench import bench as measure
    from turbo_webnn.runtime.ort.environment import environment

    reference_source = None if reference is None else {"name": reference, "variant": variant, "revision": revision}
    reports = []
    for bundle in [Bundle.open(folder) for folder in folders]:
        with progress(shown=not as_json) as report:
            reports.append(
                measure(
                    bundle,
                    settings,
                    reference=reference_source,
                    compiled=compiled,
                    graphs=graphs,
                    components=components,
                    steps=steps,
                    rounds=rounds,
                    warmup=warmup,
                    progress=lambda name, done, total: report(name, "timing", done / total),
                )
            )
        if not as_json:
            show(bench_table(reports[-1]))
    if as_json:
        show_json({"environment": environment(), "bundles": [report.to_json() for report in reports]})
