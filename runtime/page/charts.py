"""Charts as inline SVG. Positions are percentages and sizes are pixels, so that no width distorts the marks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Dots:
    """A row of a dot plot: errors of this bundle, and of PyTorch in float16."""

    label: str
    ours: tuple[float, ...]
    pytorch: tuple[float, ...]


@dataclass(frozen=True)
class Bars:
    """A pair of bars, of this bundle and of PyTorch, and the text beside them."""

    label: str
    ours: float
    pytorch: float
    text: str


@dataclass(frozen=True)
class Point:
    """A point of a curve."""

    label: str
    x: float
    y: float


def dot_plot(rows: Sequence[Dots], title: str) -> str:
    """Errors on a logarithmic axis, one line for each row; empty where no error is above 0."""
    errors = [error for row in rows for error in (*row.ours, *row.pytorch) if 0 < error < math.inf]
    if not errors:
        return ""
    low, high = math.floor(math.log10(min(errors))), math.ceil(math.log10(max(errors)))
    decades = range(low, max(high, low + 1) + 1)
    axis = [(100 * (decade - low) / (len(decades) - 1), f"1e{decade}") for decade in decades]
    grid = "".join(f'<line class="grid" x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="100%"/>' for x, _ in axis)

    def dots(errors: tuple[float, ...], kind: str) -> str:
        visible = [(100 * (math.log10(e) - low) / (len(decades) - 1), e) for e in errors if 0 < e < math.inf]
        return "".join(
            f'<circle class="{kind}" cx="{x:.2f}%" cy="14" r="5"><title>{error:.2e}</title></circle>'
            for x, error in visible
        )

    body = "".join(
        _row(row.label, f"{grid}{dots(row.pytorch, 'pytorch')}{dots(row.ours, 'ours')}", _worst_error(row.ours), 28)
        for row in rows
    )
    ticks = "".join(f'<text x="{x:.2f}%" y="14" text-anchor="{_anchor(x)}">{text}</text>' for x, text in axis)
    return _chart(title, body + f'<span></span><svg aria-hidden="true" height="18">{ticks}</svg><span></span>')


def bar_chart(rows: Sequence[Bars], title: str) -> str:
    """Two bars for each row, from 0; a value that is not finite has the full width."""
    longest = max((e for row in rows for e in (row.ours, row.pytorch) if math.isfinite(e)), default=0.0) or 1.0

    def bar(error: float, kind: str, y: int) -> str:
        width = 100 * error / longest if math.isfinite(error) else 100
        title = f"{error:.2e}" if math.isfinite(error) else "not finite"
        return (
            f'<rect class="{kind}" x="0" y="{y}" width="{width:.2f}%" height="10" rx="3"><title>{title}</title></rect>'
        )

    body = "".join(
        _row(row.label, bar(row.ours, "ours", 4) + bar(row.pytorch, "pytorch", 18), row.text, 32) for row in rows
    )
    return _chart(title, body)


def curve(points: Sequence[Point], title: str, x_unit: str, y_unit: str) -> str:
    """Points with labels, connected from left to right; each axis runs from the smallest to the largest value."""
    ordered = sorted(points, key=lambda point: point.x)
    xs, ys = [point.x for point in ordered], [point.y for point in ordered]
    positions = [(_scale(point.x, xs, 6, 94), _scale(point.y, ys, 84, 10), point) for point in ordered]
    joints = itertools.pairwise(positions)
    lines = "".join(
        f'<line class="curve" x1="{x1:.2f}%" y1="{y1:.2f}%" x2="{x2:.2f}%" y2="{y2:.2f}%"/>'
        for (x1, y1, _), (x2, y2, _) in joints
    )
    marks = "".join(
        f'<circle class="ours" cx="{x:.2f}%" cy="{y:.2f}%" r="6"/>'
        f'<text x="{x:.2f}%" y="{y:.2f}%" dy="24" text-anchor="{_anchor(x)}">{escape(point.label)} · '
        f"{point.x:,.0f} {x_unit} · {point.y:.1f} {y_unit}</text>"
        for x, y, point in positions
    )
    text = escape("; ".join(f"{p.label}: {p.x:,.0f} {x_unit}, {p.y:.1f} {y_unit}" for p in ordered), quote=True)
    return f'<svg class="curve-plot" role="img" aria-label="{escape(title, quote=True)}. {text}">{lines}{marks}</svg>'


def _chart(title: str, body: str) -> str:
    return f'<div class="chart" role="group" aria-label="{escape(title, quote=True)}">{body}</div>'


def _row(label: str, marks: str, text: str, height: int) -> str:
    name, value = escape(label), escape(text)
    svg = f'<svg role="img" aria-label="{escape(label, quote=True)}: {value}" height="{height}">{marks}</svg>'
    return f'<span class="label">{name}</span>{svg}<span class="value">{value}</span>'


def _worst_error(errors: tuple[float, ...]) -> str:
    return f"{max(errors):.1e}" if errors and all(map(math.isfinite, errors)) else "not finite"


def _anchor(x: float) -> str:
    return "start" if x < 25 else "end" if x > 75 else "middle"


def _scale(value: float, values: Sequence[float], low: float, high: float) -> float:
    """Scale `value` from the range of `values` to the range from `low` to `high`."""
    span = max(values) - min(values)
    return low + (high - low) * ((value - min(values)) / span if span else 0.5)
