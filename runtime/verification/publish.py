"""The files of a verification in its bundle: figures as JSON, and the HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.json_file import json_bytes
from turbo_webnn.models.staging import write_whole
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.page.page import report_page
from turbo_webnn.runtime.page.quality import Quality
from turbo_webnn.runtime.verification.drawing import Case
from turbo_webnn.runtime.verification.measure import Measurement
from turbo_webnn.runtime.verification.report import ParityReport

PARITY, PAGE = "report/parity.json", "report/index.html"
"""The paths of the report in a bundle."""


def publish(
    bundle: Bundle,
    report: ParityReport,
    reference: Mapping[Case, Float32Array],
    measurement: Measurement,
    quality: Sequence[Quality],
) -> None:
    """Write the report and its page into the bundle: both, or none.

    Raises:
        RequestError: where they cannot be written, or the bundle was replaced since it was opened.
    """
    page = report_page(bundle, report, reference, measurement, quality)
    try:
        with bundle.unchanged(bundle.files()):
            write_whole(
                {bundle.folder / PARITY: json_bytes(report.to_json()), bundle.folder / PAGE: page.encode()},
            )
    except OSError as error:
        wrong = f"{bundle.folder / PARITY} cannot be written ({error.strerror})"
        raise RequestError(wrong, "free some space, or permit it") from error
