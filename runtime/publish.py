"""A verification's files in its bundle: the figures for machines, and the page for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from models.bundle import Bundle
from models.errors import RequestError
from runtime.drawing import Case
from runtime.measure import Measured
from runtime.noise import Float32Array
from runtime.page.page import report_page
from runtime.page.quality import Quality
from runtime.report import ParityReport

PARITY, PAGE = "report/parity.json", "report/index.html"
"""Where a bundle keeps its report."""


def publish(
    bundle: Bundle,
    report: ParityReport,
    reference: Mapping[Case, Float32Array],
    measured: Measured,
    quality: Sequence[Quality],
) -> None:
    """Write the report and its page into the bundle: both, or none.

    Raises:
        RequestError: where they cannot be written.
    """
    texts = {
        PARITY: json.dumps(report.to_json(), indent=2, ensure_ascii=False) + "\n",
        PAGE: report_page(bundle, report, reference, measured, quality),
    }
    stages: dict[Path, Path] = {}
    try:
        for name, text in texts.items():
            path = bundle.folder / name
            path.parent.mkdir(exist_ok=True)
            stage = stages[path] = path.with_name(f".{path.name}.new")
            stage.write_text(text, encoding="utf-8")
        for path, stage in stages.items():
            stage.replace(path)
    except OSError as error:
        wrong = f"{bundle.folder / PARITY} cannot be written ({error.strerror})"
        raise RequestError(wrong, "free some space, or permit it") from error
    finally:
        for stage in stages.values():
            with suppress(OSError):
                stage.unlink(missing_ok=True)
