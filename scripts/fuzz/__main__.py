"""The command line of the fuzzer: `python -m turbo_webnn.scripts.fuzz`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from turbo_webnn.models.errors import RequestError
from turbo_webnn.scripts.fuzz.campaign import Limits, run_campaign
from turbo_webnn.scripts.fuzz.cases import KINDS
from turbo_webnn.scripts.fuzz.interruptions import run_interruptions
from turbo_webnn.scripts.fuzz.replay import replay as run_replay

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), help="End after so long.")
@click.option("--cases", type=click.IntRange(min=1), help="End after so many of each kind.")
@click.option("--interruptions", type=click.IntRange(min=1), help="Interrupt so many exports instead.")
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Damage this alone; repeatable.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first case.")
@click.option("--jobs", type=click.IntRange(min=1), default=os.cpu_count(), show_default=True, help="Runs at a time.")
@click.option("--keep", type=_PATH, default=Path("out/fuzz"), show_default=True, help="Where failures are kept.")
@click.option("--replay", type=_PATH, metavar="CASE.json", help="Run a kept failure again, by the real command.")
def fuzz(
    minutes: float | None,
    cases: int | None,
    interruptions: int | None,
    kinds: tuple[str, ...],
    seed: int,
    jobs: int,
    keep: Path,
    replay: Path | None,
) -> None:
    """Give the command damaged checkpoints and bundles; exit 1 where it does what it never may."""
    if replay is not None:
        outcome, faults = run_replay(replay)
        sys.stdout.write(outcome.stdout + outcome.stderr)
        sys.stdout.write(f"status {outcome.status}, {outcome.seconds:.1f} s, {outcome.peak_bytes / 1e9:.2f} GB: ")
        sys.stdout.write(f"{', '.join(faults) or 'no fault'}\n")
        sys.exit(1 if faults else 0)
    if interruptions is not None:
        interruption_counts = run_interruptions(interruptions, seed)
        sys.stdout.write(f"{interruption_counts.to_text()}\n")
        sys.exit(1 if interruption_counts.faults.total() else 0)
    limits = Limits(cases, None if minutes is None else 60 * minutes)
    if limits == Limits(None, None):
        raise RequestError("the fuzzer has no end", "give --minutes, --cases or --interruptions")
    counts = run_campaign(limits, seed, jobs, keep, [kind for kind in KINDS if not kinds or kind in kinds])
    sys.stdout.write(f"{counts.to_text()}\n")
    sys.exit(1 if counts.faults else 0)


if __name__ == "__main__":
    try:
        fuzz()
    except RequestError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
