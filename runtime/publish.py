"""A verification's files in its bundle: the figures for machines, and the page for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.bundle import Bundle
from models.errors import RequestError
from models.json_file import json_bytes
from models.staging import write_whole
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
        RequestError: where they cannot be written, or the bundle was replaced since it was opened.
    """
    page = report_page(bundle, report, reference, measured, quality)
    try:
        with bundle.unchanged(bundle.files()):
            write_whole(
                {bundle.folder / PARITY: json_bytes(report.to_json()), bundle.folder / PAGE: page.encode()},
            )
    except OSError as error:
        wrong = f"{bundle.folder / PARITY} cannot be written ({error.strerror})"
        raise RequestError(wrong, "free some space, or permit it") from error
