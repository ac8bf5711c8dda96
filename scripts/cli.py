"""The `turbo-webnn` command. Each verb is a few lines over the package that does its work.

Exit status: 0 for done, 1 for a verdict that fails, 2 for a request that cannot be served.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from models.bundle import MANIFEST, Bundle
from models.errors import RequestError
from models.precision import PRECISIONS
from scripts.console import fail, polite, progress, show, show_json
from scripts.options import settings_options
from scripts.tables import bench_table, parity_table

if TYPE_CHECKING:
    from runtime.settings import Settings

as_path = click.Path(path_type=Path)

bundle_argument = click.argument("folder", metavar="BUNDLE", type=as_path)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; no progress.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what is there, once the new one is whole.")
seed_option = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
vae_option = click.option("--vae", metavar="SOURCE", help="Take this source's VAE instead.")


def source_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Which weights of a SOURCE to read."""
    revision = click.option("--revision", metavar="NAME", help="A branch, tag or commit on the hub.")
    variant = click.option("--variant", metavar="NAME", help="The variant of the weights to read, as fp16.")
    return revision(variant(verb))


def _parts(**sources: str | None) -> dict[str, str]:
    """The sources that are given, by the subfolder of what they stand for."""
    return {subfolder: source for subfolder, source in sources.items() if source is not None}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="turbo-webnn", message="%(package)s %(version)s")
def app() -> None:
    """Turbo diffusion checkpoints as static ONNX graphs that run wholly on WebNN."""


@app.command("export")
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
@click.option("--max-graph-bytes", metavar="SIZE", help="Cut a component with more weights into graphs, as 450MB.")
@click.option("--bake-time-ids", is_flag=True, help="SDXL: the UNet holds the numbers of its size, and asks for none.")
@click.option(
    "--quantization", metavar="qdq|nbits", default="qdq", show_default=True, help="DequantizeLinear or MatMulNBits."
)
@click.option("--size-budget", metavar="SIZE", help="Choose the bits of each weight so that all graphs take no more.")
@click.option(
    "--recipe", metavar="FILE", type=as_path, help="Take the bits of each weight from another export's recipe."
)
@vae_option
@click.option("--safety-checker", metavar="SOURCE", help="Export this source's safety checker too.")
@source_options
@overwrite_option
@json_option
def export_verb(
    source: str,
    output: Path,
    precision: str,
    components: tuple[str, ...],
    height: int | None,
    width: int | None,
    batch: int,
    layout: str,
    max_graph_bytes: str | None,
    bake_time_ids: bool,
    quantization: str,
    size_budget: str | None,
    recipe: Path | None,
    vae: str | None,
    safety_checker: str | None,
    variant: str | None,
    revision: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Turn SOURCE (a hub id, a diffusers folder, `tiny` or `tiny-xl`) into a bundle of static ONNX graphs."""
    from export.exporter import export_bundle, native_size
    from models.byte_size import parse_bytes
    from models.source import open_source

    limit = None if max_graph_bytes is None else parse_bytes(max_graph_bytes)
    budget = None if size_budget is None else parse_bytes(size_budget)
    opened = open_source(
        source,
        variant=variant,
        revision=revision,
        components=components,
        fed=precision != "fp32",
        parts=_parts(vae=vae, safety_checker=safety_checker),
        progress=not as_json,
    )
    with progress(shown=not as_json) as report:
        bundle = export_bundle(
            opened,
            output,
            precision=precision,  # type: ignore[arg-type]  # checked there, with an error that names the choices
            size=native_size(opened, batch=batch, height=height, width=width),
            components=components,
            max_graph_bytes=limit,
            layout=layout,
            bake_time_ids=bake_time_ids,
            quantization=quantization,  # type: ignore[arg-type]  # likewise
            size_budget=budget,
            recipe=recipe,
            overwrite=overwrite,
            report=report,
        )
    if as_json:
        show_json({"bundle": str(output), "manifest": bundle.manifest.to_json()})
        return
    for chain in bundle.manifest.components.values():
        for graph in chain.graphs:
            size = sum(file.bytes for file in graph.files)
            show(f"{graph.path:<28}{graph.nodes:>6} nodes {size / 1e6:>9.1f} MB")
    show(f"{output}: {sum(file.bytes for file in bundle.files()) / 1e6:.1f} MB, {precision}")


@app.command()
@click.argument("preset")
@click.option("-o", "--output", metavar="FOLDER", type=as_path, required=True, help="The diffusers folder to write.")
@seed_option
@click.option("--variant", metavar="fp16", help="Write that variant of the weights instead of float32.")
@overwrite_option
@json_option
def synth(preset: str, output: Path, seed: int, variant: str | None, overwrite: bool, as_json: bool) -> None:
    """Write the architecture PRESET (sd-turbo, sdxl-turbo) with seeded random weights as a diffusers folder."""
    from models.synth import synthesize

    with progress(shown=not as_json) as report:
        synthesize(
            preset,
            output,
            seed=seed,
            variant=variant,
            overwrite=overwrite,
            report=lambda name, fraction: report(name, "writing", fraction),
        )
    if as_json:
        show_json({"folder": str(output), "preset": preset, "seed": seed, "variant": variant})
    else:
        show(f"{output}: {preset} with random weights of seed {seed}")


@app.command()
@bundle_argument
@click.argument("prompt")
@click.option("-o", "--output", metavar="OUT.png", type=as_path, required=True, help="The picture to write.")
@click.option("--steps", type=int, default=1, show_default=True, help="1 to 4.")
@seed_option
@click.option("--image", metavar="IN.png", type=as_path, help="A picture to start from.")
@click.option("--strength", type=float, default=0.5, show_default=True, help="How much of it is drawn anew.")
@settings_options
@json_option
def generate(
    folder: Path,
    prompt: str,
    output: Path,
    steps: int,
    seed: int,
    image: Path | None,
    strength: float,
    settings: Settings,
    as_json: bool,
) -> None:
    """Draw PROMPT with onnxruntime."""
    from runtime import Pipeline
    from runtime.images import open_image

    pipeline = Pipeline.open(folder, settings, keep_sessions=False)
    start = None if image is None else open_image(image)
    with progress(shown=not as_json) as report:
        result = pipeline.generate(
            prompt,
            steps=steps,
            seed=seed,
            image=start,
            strength=strength,
            progress=lambda name, done, total: report(name, "running", done / total),
        )
    paths = _save(result.images, output)
    if as_json:
        pictures = [str(path) for path in paths]
        show_json({"pictures": pictures, "prompt_cut": result.prompt_cut, "flagged": list(result.flagged)})
        return
    if result.prompt_cut:
        show(f"the prompt is longer than 77 tokens; left out: {result.prompt_cut}")
    for path, refused in zip_longest(paths, result.flagged, fillvalue=False):
        show(f"{path}{' is black: the safety checker refused the picture' if refused else ''}")


def _save(pictures: Any, output: Path) -> list[Path]:
    """The picture at `output`, or, where there are several, numbered beside it."""
    paths = (
        [output]
        if len(pictures) == 1
        else [output.with_stem(f"{output.stem}-{number}") for number in range(1, len(pictures) + 1)]
    )
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        for picture, path in zip(pictures, paths, strict=True):
            picture.save(path)
    except (OSError, ValueError) as error:
        raise RequestError(
            f"{output} cannot be written ({error})", "give a place and a name that ends in .png"
        ) from error
    return paths


@app.command()
@bundle_argument
@click.option("--reference", metavar="SOURCE", required=True, help="The checkpoint, or a bundle, to compare with.")
@click.option("--prompts", type=int, default=1, show_default=True, help="How many of the prompts that come along.")
@click.option("--seeds", metavar="N,N…", default="0", show_default=True, help="Each is drawn from every prompt.")
@click.option("--steps", metavar="N,N…", default="1,2,4", show_default=True, help="Each is drawn from every seed.")
@click.option("--trace", is_flag=True, help="Compare the values inside of components; name where the two part.")
@vae_option
@source_options
@settings_options
@json_option
def verify(
    folder: Path,
    reference: str,
    prompts: int,
    seeds: str,
    steps: str,
    trace: bool,
    vae: str | None,
    variant: str | None,
    revision: str | None,
    settings: Settings,
    as_json: bool,
) -> None:
    """Compare a bundle with PyTorch or another bundle, by component and end to end; exit 1 where a gate fails.

    The figures go to report/parity.json in the bundle, and a page of them to report/index.html.
    """
    from models.source import Source, open_source
    from runtime.cases import first_prompts
    from runtime.publish import PAGE
    from runtime.verify import verify as compare

    drawn, seed_numbers, step_numbers = first_prompts(prompts), _numbers("--seeds", seeds), _numbers("--steps", steps)
    bundle = Bundle.open(folder)
    other: Source | Bundle
    if (Path(reference) / MANIFEST).is_file():
        other = Bundle.open(reference)
    else:
        other = open_source(reference, variant=variant, revision=revision, parts=_parts(vae=vae), progress=not as_json)
    with progress(shown=not as_json) as report:
        parity = compare(
            bundle,
            other,
            prompts=drawn,
            seeds=seed_numbers,
            steps=step_numbers,
            trace=trace,
            provider=settings,
            progress=lambda name, done, total: report(name, "comparing", done / total),
        )
    if as_json:
        show_json(parity.to_json())
    else:
        show(parity_table(parity))
        show(str(folder / PAGE))
    sys.exit(0 if parity.passed else 1)


def _numbers(option: str, text: str) -> tuple[int, ...]:
    """Numbers between commas, each once; RequestError where `text` is something else."""
    try:
        return tuple(dict.fromkeys(int(number) for number in text.split(",")))
    except ValueError:
        raise RequestError(f"{option} {text!r} are no numbers", f"give them with commas, as {option} 1,2,4") from None


@app.command()
@bundle_argument
@click.option(
    "--target", "targets", metavar="NAME", multiple=True, help="Judge by this table of limits alone; repeatable."
)
@click.option("--rules-only", is_flag=True, help="Do not ask the real provider, which needs Node.")
@click.option("--browser", is_flag=True, help="Run each graph in a real Chromium, and compare with onnxruntime.")
@click.option(
    "--limit",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    default=600,
    show_default=True,
    help="What one graph may take in the browser.",
)
@json_option
def check(folder: Path, targets: tuple[str, ...], rules_only: bool, browser: bool, limit: float, as_json: bool) -> None:
    """Find what keeps a bundle's graphs off WebNN; exit 1 where something does."""
    from scripts.check import check_bundle

    with progress(shown=not as_json) as report:
        checks = check_bundle(
            Bundle.open(folder),
            provider=not rules_only,
            browser_limit_s=limit if browser else None,
            targets=targets,
            progress=report,
        )
    if as_json:
        show_json({check.name: check.to_json() for check in checks})
    else:
        show("\n".join(check.to_text() for check in checks))
    sys.exit(0 if all(check.passed for check in checks) else 1)


@app.command()
@bundle_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8017, show_default=True, help="0 for any that is free.")
@json_option
def serve(folder: Path, host: str, port: int, as_json: bool) -> None:
    """Serve a page that draws with BUNDLE in the browser, until Ctrl-C."""
    from runtime.serving import PageServer, routes_of

    with PageServer(routes_of(Bundle.open(folder)), host, port) as server:
        if as_json:
            show_json({"url": server.url})
        else:
            show(f"{server.url} draws with {folder}; Ctrl-C ends it")
        sys.stdout.flush()  # whoever reads a pipe waits for the address
        with suppress(KeyboardInterrupt):
            server.serve_forever()


@app.command()
@click.argument("folders", metavar="BUNDLE...", type=as_path, nargs=-1, required=True)
@click.option("--reference", metavar="SOURCE", help="The checkpoint, to be timed in PyTorch beside.")
@source_options
@click.option("--compile/--no-compile", "compiled", default=True, help="Through torch.compile too.")
@click.option("--graphs", metavar="FOLDER", type=as_path, help="Another exporter's COMPONENT/model.onnx beside.")
@click.option("--component", "components", metavar="NAME", multiple=True, help="Time this one alone; repeatable.")
@click.option("--steps", type=int, multiple=True, help="Of a drawing; repeatable. 1 and the most by default.")
@click.option("--rounds", type=int, default=10, show_default=True, help="That count.")
@click.option("--warmup", type=int, default=2, show_default=True, help="Rounds before them.")
@settings_options
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
    from runtime.bench.bench import bench as measure
    from runtime.environment import environment

    named = None if reference is None else {"name": reference, "variant": variant, "revision": revision}
    reports = []
    for bundle in [Bundle.open(folder) for folder in folders]:
        with progress(shown=not as_json) as report:
            reports.append(
                measure(
                    bundle,
                    settings,
                    reference=named,
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


def main() -> int:
    """Run the command; return its exit status."""
    as_json = "--json" in sys.argv
    try:
        with polite():
            app(standalone_mode=False)
            return 0
    except RequestError as error:
        return fail(str(error), as_json=as_json)
    except click.ClickException as error:
        return fail(f"{error.format_message().rstrip('.')}; see: turbo-webnn --help", as_json=as_json)
    except click.Abort:
        return fail("stopped before the end; nothing was written", as_json=as_json)


if __name__ == "__main__":
    sys.exit(main())
