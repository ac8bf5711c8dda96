"""The whole page, made from the report, the manifest and the pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.chain import Chain, GraphVerdict
from turbo_webnn.models.families.stable_diffusion import VAE_FOLDER
from turbo_webnn.runtime.draw.noise import Float32Array
from turbo_webnn.runtime.page.charts import Bars, Dots, Point, bar_chart, curve, dot_plot
from turbo_webnn.runtime.page.markup import badge, decibels, megabytes, scientific, section, table
from turbo_webnn.runtime.page.pictures import MAX_COMPARISONS, comparisons
from turbo_webnn.runtime.page.quality import Quality
from turbo_webnn.runtime.verification.drawing import Case
from turbo_webnn.runtime.verification.measure import Measurement
from turbo_webnn.runtime.verification.report import ParityReport, Row

MAX_LAYERS = 15
"""The number of layers on the page; parity.json has all of them."""

_PAGE = Template((Path(__file__).parent / "page.html").read_text(encoding="utf-8"))


def report_page(
    bundle: Bundle,
    report: ParityReport,
    reference: Mapping[Case, Float32Array],
    measurement: Measurement,
    quality: Sequence[Quality] = (),
) -> str:
    """Make one self-contained HTML file, with styles, charts and pictures inside."""
    size = bundle.manifest.size
    subtitle = (
        f"{bundle.manifest.family}, {report.precision}, {size.width} × {size.height}, on {report.provider}, "
        f"against {report.compared_with} with {report.reference['name']}"
    )
    hidden = len(measurement.pictures) - MAX_COMPARISONS
    sections = (
        section("components", "Verdicts", _tiles(bundle, report)),
        section(
            "pictures",
            "Pictures",
            comparisons(reference, measurement.samples, measurement.pictures),
            f"The worst {MAX_COMPARISONS}; {hidden} more are in the table below." if hidden > 0 else "",
        ),
        section("noise", "Beside PyTorch’s own float16", _noise(report), _NOISE_NOTE),
        section("errors", "Error by component and step", _errors(report), _ERROR_NOTE),
        section("layers", "Where the two part", _layers(report), _LAYER_NOTE),
        section("graphs", "Graphs and WebNN", _graphs(bundle)),
        section("quality", "Size and quality", _quality(quality)),
        section("figures", "Every figure", _figures(report.rows)),
        section("environment", "Measured on", _environment(report)),
    )
    return _PAGE.substitute(
        title=escape(str(report.source["name"])),
        subtitle=escape(subtitle),
        verdict=badge(report.passed),
        sections="\n".join(filter(None, sections)),
    )


_LEGEND = '<span class="key ours"></span>this bundle &nbsp; <span class="key pytorch"></span>PyTorch in float16'

_NOISE_NOTE = f"{_LEGEND}. Relative L2 against PyTorch in float32; the ratio of the two is gated."

_ERROR_NOTE = f"{_LEGEND}. Relative L2, each dot a comparison on PyTorch’s own inputs; the worst of ours in figures."

_LAYER_NOTE = (
    "Outputs of PyTorch’s modules beside the graph’s values. Growth is the error over the worst of the traced values "
    "that it is computed from: a layer that is wrong stands first."
)


def _tiles(bundle: Bundle, report: ParityReport) -> str:
    ratios = {floor.component: floor for floor in report.noise}
    tiles = []
    for component, component_rows in groupby(report.rows, key=lambda row: row.component):
        rows = list(component_rows)
        floor = ratios.get(component)
        passed = all(row.passed for row in rows) and (floor is None or floor.passed)
        worst = min(rows, key=lambda row: (row.figures.finite, row.figures.psnr)).figures
        facts = [
            ("worst PSNR", decibels(worst.psnr) if worst.finite else "not finite"),
            ("comparisons", str(len(rows))),
        ]
        if floor is not None:
            ratio_text = "below rounding" if floor.is_rounding else _ratio(floor.ratio, floor.limit)
            facts.append(("noise ratio", ratio_text))
        chain = bundle.manifest.components.get(component)
        if chain is not None:
            facts.append(("WebNN", _webnn(chain.webnn and chain.webnn["graphs"])))
        entries = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
        tiles.append(f'<li><h3>{escape(component)}</h3>{badge(passed)}<dl class="facts">{entries}</dl></li>')
    return f'<ul class="tiles">{"".join(tiles)}</ul>'


def _ratio(ratio: float, limit: float | None) -> str:
    text = f"{ratio:.2f}" if math.isfinite(ratio) else "not finite"
    return text if limit is None else f"{text} of {limit:g}"


def _webnn(graphs: Sequence[GraphVerdict] | None) -> str:
    if graphs is None:
        return "not checked"
    verdicts = [is_whole for graph in graphs for is_whole in graph["provider"].values()]
    return f"whole in {sum(verdicts)} of {len(verdicts)}" if verdicts else "by the rules alone"


def _noise(report: ParityReport) -> str:
    rows = [
        Bars(
            floor.component,
            floor.ours,
            floor.pytorch,
            "both below rounding" if floor.is_rounding else f"ratio {_ratio(floor.ratio, floor.limit)}",
        )
        for floor in report.noise
    ]
    return bar_chart(rows, "Errors of this bundle and of PyTorch in float16, by component") if rows else ""


def _errors(report: ParityReport) -> str:
    groups: dict[str, list[Row]] = {}
    for row in report.rows:
        label = row.component if row.timestep is None else f"{row.component}, timestep {row.timestep:g}"
        groups.setdefault(label, []).append(row)
    dots = [
        Dots(
            label,
            tuple(row.figures.relative_l2 for row in rows),
            tuple(row.floor.relative_l2 for row in rows if row.floor is not None),
        )
        for label, rows in groups.items()
        if any(row.figures.relative_l2 != 0.0 for row in rows)
    ]
    return dot_plot(dots, "Relative L2 of each comparison, logarithmic")


def _layers(report: ParityReport) -> str:
    if not report.traced:
        return ""
    rows = [
        (
            f"<code>{escape(value.module)}</code>",
            escape(value.component),
            scientific(value.relative_l2),
            f"{value.growth:.2f}×",
        )
        for value in report.traced[:MAX_LAYERS]
    ]
    hidden = len(report.traced) - len(rows)
    more = f'<p class="note">{hidden} more in parity.json.</p>' if hidden else ""
    return table("Layers by growth of the error", ("module", "component", "relative L2", "growth"), rows) + more


def _graphs(bundle: Bundle) -> str:
    rows = [row for chain in bundle.manifest.components.values() for row in _graph_rows(chain)]
    return table("Graphs", ("graph", "nodes", "weights and graph", "WebNN provider", "real browser"), rows)


def _graph_rows(chain: Chain) -> list[tuple[str, ...]]:
    verdicts = {verdict["path"]: verdict for verdict in ([] if chain.webnn is None else chain.webnn["graphs"])}
    rows: list[tuple[str, ...]] = []
    for graph in chain.graphs:
        verdict = verdicts.get(graph.path)
        browser = verdict and verdict["browser"]
        size = megabytes(sum(file.bytes for file in graph.files))
        placement = _webnn(verdict and [verdict])
        rows.append(
            (
                f"<code>{escape(graph.path)}</code>",
                str(graph.nodes),
                size,
                badge(verdict["whole"], placement, placement) if verdict else badge(None, unknown="not checked"),
                badge(browser["whole"], browser["browser"], browser["reason"]) if browser else badge(None),
            )
        )
    return rows


def _quality(quality: Sequence[Quality]) -> str:
    points = [Point(point.recipe, point.bytes / 1e6, point.psnr) for point in quality if math.isfinite(point.psnr)]
    return curve(points, "PSNR of pictures by size of the weights", "MB", "dB") if points else ""


def _figures(rows: Sequence[Row]) -> str:
    cells = [
        (
            f"{escape(row.component)}: {escape(row.case)}",
            badge(row.passed),
            decibels(row.figures.psnr),
            "–" if row.figures.ssim is None else f"{row.figures.ssim:.5f}",
            scientific(row.figures.relative_l2),
            scientific(None if row.floor is None else row.floor.relative_l2),
            scientific(row.figures.max_abs),
        )
        for row in rows
    ]
    head = ("comparison", "gate", "PSNR", "SSIM", "relative L2", "float16’s own", "max abs")
    return f"<details><summary>{len(rows)} comparisons</summary>{table('Every comparison', head, cells)}</details>"


_PART_TITLES = {VAE_FOLDER: "VAE"}


def _environment(report: ParityReport) -> str:
    seconds = {f"{side}, seconds": f"{duration:.0f}" for side, duration in report.seconds.items()}
    origin: dict[str, str] = {}
    for key, value in report.source.items():
        part = value if isinstance(value, dict) and "name" in value else {}  # a component of another source
        fields = {f"{_PART_TITLES.get(key, key)}, {name}": field for name, field in part.items()}
        origin |= {name: str(field) for name, field in (fields or {f"source, {key}": value}).items() if field}
    items = {**origin, **report.environment, **seconds}.items()
    entries = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in items)
    return f'<dl class="environment">{entries}</dl>'
