"""How graphs of one checkpoint fare on WebNN, by exporter: a table of docs/measurements.md.

    python -m turbo_webnn.scripts.compare_exporters CHECKPOINT BUNDLE [--optimum FOLDER]

BUNDLE is the bundle of that checkpoint, FOLDER the output of `optimum-cli export onnx --task text-to-image`. This
script runs the plain torch exporter (dynamo, with optimiser, float16) on the same forward functions and size.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import torch

from turbo_webnn.export.forwards import Forward
from turbo_webnn.export.trace import OPSET
from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.component import Component
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.source import Source, open_source
from turbo_webnn.runtime.reference.loading import load
from turbo_webnn.runtime.webnn.check import check_provider

_TYPES = {"float": torch.float16, "int": torch.int32}


def export_with_torch(source: Source, component: Component, bundle: Bundle, folder: Path) -> Path:
    """Export the component with torch.onnx.export alone; return the path of the graph."""
    config, size = source.config(component), bundle.manifest.size
    forward = Forward(component, load(source, component).half(), size)
    inputs = tuple(torch.ones(spec.shape(size, config), dtype=_TYPES[spec.kind]) for spec in component.inputs)
    with torch.no_grad():
        program = torch.onnx.export(
            forward,
            inputs,
            dynamo=True,
            optimize=True,
            verbose=False,
            opset_version=OPSET,
            input_names=[spec.name for spec in component.inputs],
            output_names=[spec.name for spec in component.outputs],
        )
    assert program is not None
    path = folder / component.name / "model.onnx"
    path.parent.mkdir(parents=True)
    program.save(path, external_data=True)
    return path


def verdict_text(paths: Sequence[Path]) -> str:
    """The number of nodes and the verdict of the graphs of one component, as the text of a cell."""
    nodes = sum(len(onnx.load(str(path), load_external_data=False).graph.node) for path in paths)
    try:
        placements = check_provider(paths)
    except RequestError as error:
        return f"{nodes} nodes: {error}"
    whole_count = sum(placement.whole for placement in placements)
    reasons = sorted({placement.reason for placement in placements if not placement.whole})
    return f"{nodes} nodes, whole in {whole_count} of {len(placements)}" + (f": {reasons[0][:120]}" if reasons else "")


def table_rows(source: Source, bundle: Bundle, optimum: Path | None, work: Path) -> Iterator[tuple[str, str, str]]:
    """The rows of the table: component, exporter, verdict."""
    for name, chain in bundle.manifest.components.items():
        component = source.family.component(name)
        yield name, "turbo-webnn", verdict_text([bundle.path(graph) for graph in chain.graphs])
        yield name, "torch.onnx", verdict_text([export_with_torch(source, component, bundle, work)])
        if optimum:
            yield name, "optimum-onnx", verdict_text([optimum / name / "model.onnx"])


def main() -> int:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--optimum", type=Path)
    arguments = parser.parse_args()
    print("| component | exporter | verdict |\n| --- | --- | --- |")  # noqa: T201
    with tempfile.TemporaryDirectory() as work:
        for row in table_rows(
            open_source(arguments.checkpoint), Bundle.open(arguments.bundle), arguments.optimum, Path(work)
        ):
            print(f"| {' | '.join(row)} |", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
