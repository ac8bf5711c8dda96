"""The click group of `turbo-webnn` with the verbs of `verbs/`."""

from __future__ import annotations

import click

from turbo_webnn.scripts.verbs.bench import bench
from turbo_webnn.scripts.verbs.check import check
from turbo_webnn.scripts.verbs.export import export
from turbo_webnn.scripts.verbs.generate import generate
from turbo_webnn.scripts.verbs.serve import serve
from turbo_webnn.scripts.verbs.synth import synth
from turbo_webnn.scripts.verbs.verify import verify


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="turbo-webnn", message="%(package)s %(version)s")
def app() -> None:
    """Turbo diffusion checkpoints as static ONNX graphs that run wholly on WebNN.

    Exit status: 0 for done, 1 for a verdict that fails, 2 for a request that cannot be served, 3 for a defect.
    """


for _verb in (export, synth, generate, verify, check, serve, bench):
    app.add_command(_verb)
