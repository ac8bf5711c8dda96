"""Reports as text for people: one line a row, so that they can be searched and pasted."""

from __future__ import annotations

from collections import defaultdict

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
