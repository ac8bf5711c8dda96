"""Reports as text tables: one line for each row, so that they can be searched and pasted."""

from __future__ import annotations

from collections import defaultdict

from turbo_webnn.runtime.bench.report import OURS, BenchReport
from turbo_webnn.runtime.verification.report import ParityReport, Row

MAX_LAYERS = 8
"""The number of traced layers in the table; parity.json has all of them."""


def parity_table(report: ParityReport) -> str:
    """The worst row of each component, the failed rows, the traced layers with the largest growth, and the verdict.

    The last column is the noise ratio: the component's error divided by that of PyTorch in float16.
    """
    by_component: dict[str, list[Row]] = defaultdict(list)
    for row in report.rows:
        by_component[row.component].append(row)
    ratios = {floor.component: f"{floor.ratio:.2f}" for floor in report.noise}
    head = f"{'':16}{'cases':>6}{'PSNR dB':>10}{'cosine':>11}{'relative L2':>13}{'max abs':>10}{'SSIM':>9}"
    lines = [head + (f"{'noise':>7}" if ratios else "")]
    for component, rows in by_component.items():
        worst = min(rows, key=lambda row: (row.passed, row.figures.psnr))
        lines.append(f"{component:16}{len(rows):>6}{_figures(worst)}{ratios.get(component, ''):>7}".rstrip())
    for row in report.rows:
        if not row.passed:
            gate = ", ".join(f"{name} {bound}" for name, bound in row.gate.to_json().items())
            lines.append(f"FAILS {row.component}, {row.case}:{_figures(row).rstrip()}   gate: {gate}")
    for floor in report.noise:
        if not floor.passed:
            lines.append(
                f"FAILS {floor.component}: relative L2 {floor.ours:.2e} is {floor.ratio:.2f} times "
                f"PyTorch's in float16, {floor.pytorch:.2e}   gate: {floor.limit:g}"
            )
    if report.traced:
        lines.append(f"{'where the two part':76}{'relative L2':>13}{'growth':>10}")
    for value in report.traced[:MAX_LAYERS]:
        layer = f"  {value.component} {value.module}"
        lines.append(f"{layer:76}{value.relative_l2:>13.2e}{value.growth:>9.2f}x")
    sides = ", ".join(f"{side} {duration:.0f} s" for side, duration in report.seconds.items())
    verdict = "passes" if report.passed else "FAILS"
    lines.append(
        f"parity {verdict}: {report.precision} on {report.provider} against {report.reference['name']} "
        f"by {report.compared_with} ({sides})"
    )
    return "\n".join(lines)


def _figures(row: Row) -> str:
    figures = row.figures
    similar = "" if figures.ssim is None else f"{figures.ssim:.5f}"
    return (
        f"{figures.psnr:>10.1f}{figures.cosine:>11.7f}{figures.relative_l2:>13.2e}{figures.max_abs:>10.2e}{similar:>9}"
    )


def bench_table(report: BenchReport) -> str:
    """A row for each task and side: milliseconds, the ratio of our time to the side's, and pictures per second."""
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
        peak_bytes = {"host": peak.host, "device": peak.device}
        sizes = ", ".join(
            f"{size_bytes / 1e9:.2f} GB {memory_kind}"
            for memory_kind, size_bytes in peak_bytes.items()
            if size_bytes is not None
        )
        lines.append(f"{'peak memory':16}{side:16}  {sizes or 'unknown'}")
    return "\n".join(lines)
