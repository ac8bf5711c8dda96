"""The verbs of `turbo-webnn`, one a module: a few lines each over the package that does its work."""

from __future__ import annotations

import click

from scripts.verbs.bench import bench
from scripts.verbs.check import check
from scripts.verbs.export import export
from scripts.verbs.generate import generate
from scripts.verbs.serve import serve
from scripts.verbs.synth import synth
from scripts.verbs.verify import verify

__all__ = ["app"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="turbo-webnn", message="%(package)s %(version)s")
def app() -> None:
    """Turbo diffusion checkpoints as static ONNX graphs that run wholly on WebNN.

    Exit status: 0 for done, 1 for a verdict that fails, 2 for a request that cannot be served, 3 for a defect.
    """


for _verb in (export, synth, generate, verify, check, serve, bench):
    app.add_command(_verb)
