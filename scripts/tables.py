"""Reports as text for people: one line a row, so that they can be searched and pasted."""

from __future__ import annotations

from collections import defaultdict

from runtime.bench.report import OURS, BenchReport
from runtime.report import ParityReport, Row


def parity_table(report: ParityReport) -> str:
    """The worst row of each component against its gate, every row that fails, and the verdict."""
    by_component: dict[str, list[Row]] = defaultdict(list)
    for row in report.rows:
        by_component[row.component].append(row)
    lines = [f"{'':16}{'cases':>6}{'PSNR dB':>10}{'cosine':>11}{'relative L2':>13}{'max abs':>10}"]
    for component, rows in by_component.items():
        worst = min(rows, key=lambda row: (row.passed, row.figures.psnr))
        lines.append(f"{component:16}{len(rows):>6}{_figures(worst)}")
    for row in report.rows:
        if not row.passed:
            gate = ", ".join(f"{name} {bound}" for name, bound in row.gate.to_json().items())
            lines.append(f"FAILS {row.component}, {row.case}:{_figures(row)}   gate: {gate}")
    sides = ", ".join(f"{side} {spent:.0f} s" for side, spent in report.seconds.items())
    verdict = "passes" if report.passed else "FAILS"
    lines.append(
        f"parity {verdict}: {report.precision} on {report.provider} against {report.reference['name']} ({sides})"
    )
    return "\n".join(lines)


def _figures(row: Row) -> str:
    held = row.figures
    return f"{held.psnr:>10.1f}{held.cosine:>11.7f}{held.relative_l2:>13.2e}{held.max_abs:>10.2e}"


def bench_table(report: BenchReport) -> str:
    """A row of each side for each task: milliseconds, our time to the other's, and pictures a second."""
    size = report.size
    lines = [
        f"{report.bundle}: {report.precision} on {report.provider}, {size.batch} × {size.width}×{size.height}",
        f"{'':16}{'':16}{'median ms':>12}{'p10':>10}{'p90':>10}{'ours to it':>12}{'pictures/s':>12}",
    ]
    for task, sides in report.latencies.items():
        for side, latency in sides.items():
            times = f"{1e3 * latency.median:>12.1f}{1e3 * latency.p10:>10.1f}{1e3 * latency.p90:>10.1f}"
            ratio, drawn = report.ratio(task, side), report.throughput(task, side)
            compared = f"{'' if ratio is None else f'{ratio:.3f}':>12}{'' if drawn is None else f'{drawn:.2f}':>12}"
            lines.append(f"{str(task) if side == OURS else '':16}{side:16}{times}{compared}".rstrip())
    for side, peak in report.memory.items():
        places = {"host": peak.host, "device": peak.device}
        told = ", ".join(f"{held / 1e9:.2f} GB {place}" for place, held in places.items() if held is not None)
        lines.append(f"{'peak memory':16}{side:16}  {told or 'unknown'}")
    return "\n".join(lines)
