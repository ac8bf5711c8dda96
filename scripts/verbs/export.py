"""`turbo-webnn export`: makes a bundle from a checkpoint."""

from __future__ import annotations

from typing import Any

import click

from turbo_webnn.models.byte_size import parse_bytes
from turbo_webnn.models.precision import PRECISIONS
from turbo_webnn.scripts.console import notice, progress, show, show_json
from turbo_webnn.scripts.options import as_path, json_option, overwrite_option, parts, source_options


@click.command()
@click.argument("source")
@click.option("-o", "--output", metavar="BUNDLE", type=as_path, required=True, help="The folder to write.")
@click.option(
    "--precision",
    metavar="|".join(PRECISIONS),
    default="fp16",
    show_default=True,
    help="Of weights and boundary; q is quantised weights.",
)
@click.option("--component", "components", metavar="NAME", multiple=True, help="Export this one; repeatable.")
@click.option("--height", type=int, help="Of the pictures, in pixels; the model's own by default.")
@click.option("--width", type=int, help="Likewise.")
@click.option("--batch", type=int, default=1, show_default=True, help="Pictures at a time.")
@click.option(
    "--layout",
    metavar="NAME",
    default="webnn",
    show_default=True,
    help="Files, names and types as webnn-developer-preview, ort-web-demo or optimum load them.",
)
@click.option(
    "--max-graph-bytes",
    metavar="SIZE",
    type=parse_bytes,
    help="Cut a component with more weights into graphs, as 450MB.",
)
@click.option("--bake-time-ids", is_flag=True, help="SDXL: the UNet holds the numbers of its size, and asks for none.")
@click.option(
    "--quantization", metavar="qdq|nbits", default="qdq", show_default=True, help="DequantizeLinear or MatMulNBits."
)
@click.option(
    "--size-budget",
    metavar="SIZE",
    type=parse_bytes,
    help="Choose the bits of each weight so that all graphs take no more.",
)
@click.option(
    "--recipe", metavar="FILE", type=as_path, help="Take the bits of each weight from another export's recipe."
)
@click.option("--skip-pass", "skip_passes", metavar="NAME", multiple=True, help="Leave this pass out; repeatable.")
@click.option(
    "--sample-posterior", is_flag=True, help="Image to image samples the latents of a picture, as diffusers does."
)
@click.option("--safety-checker", metavar="SOURCE", help="Export this source's safety checker too.")
@source_options
@overwrite_option
@json_option
def export(
    source: str,
    opening: dict[str, Any],
    safety_checker: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Turn SOURCE into a bundle of static ONNX graphs.

    SOURCE is a diffusers folder, a .safetensors file, a hub id (OWNER/NAME or OWNER/NAME/FILE.safetensors), `tiny` or
    `tiny-xl`.
    """
    from turbo_webnn.export.exporter import judge_weights, run_plan
    from turbo_webnn.export.request import ExportRequest
    from turbo_webnn.models.source import open_source

    request = ExportRequest(**options)  # the names of the other options are its fields
    request.require_files()
    opening["parts"] |= parts(safety_checker=safety_checker)
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        notice(line)

    checkpoint = open_source(
        source,
        **opening,
        components=request.components,
        fed=request.measured,
        judge=request.plan,
        judge_headers=lambda remote: judge_weights(request.plan(remote)),
        notice=tell,
        progress=not as_json,
    )
    for line in checkpoint.notices:
        tell(line)
    with progress(shown=not as_json) as report:
        bundle = run_plan(request.plan(checkpoint), report)
    if as_json:
        manifest = bundle.manifest.to_json()
        show_json({"bundle": str(request.output), "notices": lines, "manifest": manifest})
        return
    for chain in bundle.manifest.components.values():
        for graph in chain.graphs:
            weight = sum(file.bytes for file in graph.files)
            show(f"{graph.path:<28}{graph.nodes:>6} nodes {weight / 1e6:>9.1f} MB")
    show(f"{request.output}: {sum(file.bytes for file in bundle.files()) / 1e6:.1f} MB, {request.precision}")
