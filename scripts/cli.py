"""The `turbo-webnn` command. Each verb is a module of `scripts.verbs`, a few lines over the package that does its work.

Exit status: 0 for done, 1 for a verdict that fails, 2 for a request that cannot be served.
"""

from __future__ import annotations

import sys

import click

from models.errors import RequestError
from scripts.console import fail, polite
from scripts.verbs.bench import bench
from scripts.verbs.check import check
from scripts.verbs.export import export
from scripts.verbs.generate import generate
from scripts.verbs.serve import serve
from scripts.verbs.synth import synth
from scripts.verbs.verify import verify


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="turbo-webnn", message="%(package)s %(version)s")
def app() -> None:
    """Turbo diffusion checkpoints as static ONNX graphs that run wholly on WebNN."""


for verb in (export, synth, generate, verify, check, serve, bench):
    app.add_command(verb)


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
