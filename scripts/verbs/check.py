"""`turbo-webnn check`: finds the reasons why a bundle does not run on WebNN."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.scripts.console import notice, progress, show, show_json
from turbo_webnn.scripts.options import bundle_argument, json_option


@click.command()
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
    from turbo_webnn.runtime.webnn.bundle_check import check_bundle

    with progress(shown=not as_json) as report:
        checks = check_bundle(
            Bundle.open(folder),
            provider=not rules_only,
            browser_limit_s=limit if browser else None,
            targets=targets,
            progress=report,
            notice=notice,
        )
    if as_json:
        show_json({check.name: check.to_json() for check in checks})
    else:
        show("\n".join(check.to_text() for check in checks))
    sys.exit(0 if all(check.passed for check in checks) else 1)
