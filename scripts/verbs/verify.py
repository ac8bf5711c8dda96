"""`turbo-webnn verify`: compares a bundle with PyTorch or another bundle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from turbo_webnn.models.bundle import MANIFEST, Bundle
from turbo_webnn.models.errors import RequestError
from turbo_webnn.scripts.console import notice, progress, show, show_json
from turbo_webnn.scripts.options import (
    bundle_argument,
    json_option,
    settings_options,
    source_options,
)
from turbo_webnn.scripts.tables import parity_table

if TYPE_CHECKING:
    from turbo_webnn.runtime.ort.settings import Settings


@click.command()
@bundle_argument
@click.option("--reference", metavar="SOURCE", required=True, help="The checkpoint, or a bundle, to compare with.")
@click.option("--prompts", type=int, default=1, show_default=True, help="How many of the prompts that come along.")
@click.option("--seeds", metavar="N,N…", default="0", show_default=True, help="Each is drawn from every prompt.")
@click.option("--steps", metavar="N,N…", default="1,2,4", show_default=True, help="Each is drawn from every seed.")
@click.option("--trace", is_flag=True, help="Compare the values inside of components; name where the two part.")
@source_options
@settings_options(fuse=False)
@json_option
def verify(
    folder: Path,
    reference: str,
    prompts: int,
    seeds: str,
    steps: str,
    trace: bool,
    opening: dict[str, Any],
    settings: Settings,
    as_json: bool,
) -> None:
    """Compare a bundle with PyTorch or another bundle, by component and end to end; exit 1 where a gate fails.

    The figures go to report/parity.json in the bundle, and a page of them to report/index.html.
    """
    from turbo_webnn.models.source import Source, open_source
    from turbo_webnn.runtime.verification.cases import first_prompts
    from turbo_webnn.runtime.verification.origins import differences
    from turbo_webnn.runtime.verification.publish import PAGE
    from turbo_webnn.runtime.verification.verify import require_same_family
    from turbo_webnn.runtime.verification.verify import verify as compare

    prompt_texts = first_prompts(prompts)
    seed_numbers, step_numbers = _parse_numbers("--seeds", seeds), _parse_numbers("--steps", steps)
    bundle = Bundle.open(folder)
    other: Source | Bundle
    if (Path(reference) / MANIFEST).is_file():
        other = Bundle.open(reference)
    else:
        other = open_source(reference, **opening, notice=notice, progress=not as_json)
        require_same_family(bundle, other)
        for line in [*other.notices, *differences(bundle.manifest.source, other.provenance)]:
            notice(line)
    notices: list[str] = []
    with progress(shown=not as_json) as report:
        parity = compare(
            bundle,
            other,
            prompts=prompt_texts,
            seeds=seed_numbers,
            steps=step_numbers,
            trace=trace,
            provider=settings,
            notice=notices.append,
            progress=lambda name, done, total: report(name, "comparing", done / total),
        )
    if as_json:
        show_json(parity.to_json())
    else:
        show("\n".join([parity_table(parity), *([] if notices else [str(folder / PAGE)])]))
    for line in notices:
        notice(line)
    sys.exit(0 if parity.passed else 1)


def _parse_numbers(option: str, text: str) -> tuple[int, ...]:
    """Parse numbers between commas, without duplicates; RequestError if `text` has another form."""
    try:
        return tuple(dict.fromkeys(int(number) for number in text.split(",")))
    except ValueError:
        raise RequestError(f"{option} {text!r} are no numbers", f"give them with commas, as {option} 1,2,4") from None
