"""Check a bundle's graphs with static rules, with the real provider and in a real browser.

The verdicts are written into the manifest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from turbo_webnn.models.bundle import Bundle, Manifest, update_manifest
from turbo_webnn.models.chain import BrowserRun, Chain, Graph, GraphVerdict, Verdict
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.progress import ReportFraction
from turbo_webnn.runtime.verification.parity import BROWSER_GATES, Figures, Gate, compare
from turbo_webnn.runtime.webnn.check import (
    BrowserVerdict,
    Chromium,
    Effect,
    Finding,
    PlacementVerdict,
    Target,
    check_static,
    load_target,
    verdict_targets,
)
from turbo_webnn.runtime.webnn.provider import OPTIMIZATIONS, Provider
from turbo_webnn.runtime.webnn.recorded_runs import GraphRun, record_runs

_LOG = logging.getLogger(__name__)

SHOWN_FINDINGS = 3
"""Findings in the text for one graph. Unsupported weights give hundreds of similar findings."""


@dataclass(frozen=True)
class BrowserCheck:
    """The check of one graph in a real browser.

    Attributes:
        verdict: the verdict of the browser.
        figures: the differences to onnxruntime's outputs on the CPU, by output; empty where the graph did not run.
        gate: the limits of the differences.
    """

    verdict: BrowserVerdict
    figures: Mapping[str, Figures]
    gate: Gate

    @property
    def passed(self) -> bool:
        """Whether the graph was built wholly on WebNN, ran, and its outputs agree with those of onnxruntime."""
        return self.verdict.whole and all(map(self.gate.passes, self.figures.values()))

    @property
    def worst(self) -> Figures | None:
        """The figures of the output with the largest difference."""
        return max(self.figures.values(), key=lambda figures: (not figures.finite, figures.relative_l2), default=None)

    @property
    def reason(self) -> str:
        """The reason for a failure, in one line; empty where the check passed."""
        if self.passed or not self.verdict.whole or self.worst is None:
            return self.verdict.reason
        difference = f"relative L2 {self.worst.relative_l2:.2e}" if self.worst.finite else "not finite"
        return f"outputs are not onnxruntime's: {difference}, the gate is {self.gate.relative_l2:g}"

    def to_json(self) -> BrowserRun:
        """The verdict in the form of the manifest."""
        verdict = self.verdict
        return {
            "whole": self.passed,
            "reason": self.reason,
            "browser": f"Chromium {verdict.browser}",
            "onnxruntime_web": verdict.onnxruntime,
            "device": verdict.device,
            "create_ms": None if verdict.create_ms is None else round(verdict.create_ms),
            "run_ms": None if verdict.run_ms is None else round(verdict.run_ms),
            "relative_l2": self.worst.to_json()["relative_l2"] if self.worst else None,
        }

    def __str__(self) -> str:
        if not self.passed or self.worst is None:
            return f"NOT in Chromium {self.verdict.browser}: {self.reason}"
        create_s, run_s = ((duration or 0.0) / 1000 for duration in (self.verdict.create_ms, self.verdict.run_ms))
        durations = f"built in {create_s:.1f} s, ran in {run_s:.1f} s"
        return f"Chromium {self.verdict.browser}: {durations}, relative L2 {self.worst.relative_l2:.1e}"


@dataclass(frozen=True)
class GraphCheck:
    """The check of one graph.

    Attributes:
        graph: the graph.
        findings: the findings of the rules over all tables, without duplicates.
        placements: the provider's verdicts, one for each table and optimisation level; empty where the provider was
            not used.
        browser: the check in a browser; None where no browser was used.
        on_cpu: whether the layout runs the graph on the CPU, so that it is not checked.
    """

    graph: Graph
    findings: tuple[Finding, ...]
    placements: tuple[PlacementVerdict, ...]
    browser: BrowserCheck | None
    on_cpu: bool = False

    @property
    def whole_targets(self) -> set[str]:
        """The tables on which the whole graph goes to WebNN at every optimisation level."""
        failed = {placement.target for placement in self.placements if not placement.whole}
        return {placement.target for placement in self.placements} - failed

    @property
    def passed(self) -> bool:
        """Whether the graph runs wholly on WebNN. Findings of waste do not fail the check."""
        harmless = all(finding.effect is Effect.WASTE for finding in self.findings)
        placed = all(placement.whole for placement in self.placements)
        return harmless and placed and (self.browser is None or self.browser.passed)

    def to_json(self) -> GraphVerdict:
        """The verdict in the form of the manifest."""
        return {
            "path": self.graph.path,
            "whole": self.passed,
            "findings": [str(finding) for finding in self.findings],
            "provider": {
                f"{placement.target}/{placement.optimization}": placement.whole for placement in self.placements
            },
            "browser": None if self.browser is None else self.browser.to_json(),
        }

    def to_text(self) -> str:
        """The verdict for people: one line, and one more line for each problem."""
        total, whole = len(self.placements), sum(placement.whole for placement in self.placements)
        basis = f"whole in {whole} of {total}" if total else "by the rules alone"
        if 0 < whole < total:
            basis += f": {', '.join(sorted(self.whole_targets))}"
        verdict = "WebNN" if self.passed else "NOT WebNN"
        if self.on_cpu:
            verdict, basis = "CPU", "by its layout: WebNN has not all its operators"
        lines = [f"{self.graph.path:28}{self.graph.nodes:>6} nodes   {verdict:10}{basis}"]
        lines += [f"  {self.browser}"] if self.browser else []
        lines += [f"  {finding}" for finding in self.findings[:SHOWN_FINDINGS]]
        hidden = len(self.findings[SHOWN_FINDINGS:])
        lines += [f"  and {hidden} more findings: --json tells all"] if hidden else []
        failures: dict[str, list[str]] = {}
        for placement in self.placements:
            if not placement.whole:
                failures.setdefault(placement.reason, []).append(f"{placement.target}/{placement.optimization}")
        lines += [f"  {', '.join(places)}: {reason}" for reason, places in failures.items()]
        return "\n".join(lines)


@dataclass(frozen=True)
class ComponentCheck:
    """The checks of the graphs of one component."""

    name: str
    graphs: tuple[GraphCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether every graph passes."""
        return all(graph.passed for graph in self.graphs)

    def to_json(self) -> Verdict:
        """The verdict in the form of the manifest."""
        return {"whole": self.passed, "graphs": [graph.to_json() for graph in self.graphs]}

    def to_text(self) -> str:
        """The verdicts for people, of each graph."""
        return "\n".join(graph.to_text() for graph in self.graphs)


def check_bundle(
    bundle: Bundle,
    *,
    provider: bool = True,
    browser_limit_s: float | None = None,
    targets: Sequence[str] = (),
    progress: ReportFraction = lambda _name, _doing, _fraction: None,
    notice: Callable[[str], object] = _LOG.warning,
) -> list[ComponentCheck]:
    """Check each component of `bundle`. The verdicts of the provider and the browser are written into its manifest.

    A graph that the layout runs on the CPU is not checked.

    Args:
        bundle: the bundle to check.
        provider: whether to use the real provider, which needs Node.
        browser_limit_s: the time limit in seconds for each graph in a real Chromium, which runs the graph on the inputs
            of a real drawing; None for no browser. A browser that hangs or exits gives a verdict with that reason.
        targets: the names of the tables to check against; all tables where empty. Some tables do not support weights
            of 4 bits.
        progress: receives the component, the activity and the completed fraction of it.
        notice: receives a line where the verdicts cannot be written.

    Raises:
        RequestError: where a file is not the one that the manifest names, a graph cannot be read or, for a browser,
            run by onnxruntime, or Node, onnxruntime-web or a browser is missing.
    """
    bundle.require_intact()
    chains = bundle.manifest.components
    checked = {name: chain for name, chain in chains.items() if not chain.on_cpu}
    tables = [load_target(name) for name in targets] or verdict_targets()
    findings = {graph: _findings(bundle, graph, tables) for chain in checked.values() for graph in chain.graphs}
    placements = _placements(bundle, checked, tables, progress) if provider else {}
    in_browser = {} if browser_limit_s is None else _browser_checks(bundle, checked, browser_limit_s, progress)
    checks = [
        ComponentCheck(
            name,
            tuple(
                GraphCheck(
                    graph, findings.get(graph, ()), placements.get(graph, ()), in_browser.get(graph), chain.on_cpu
                )
                for graph in chain.graphs
            ),
        )
        for name, chain in chains.items()
    ]
    if placements or in_browser:
        try:
            update_manifest(bundle.folder, lambda manifest: _with_verdicts(bundle, manifest, checks))
        except RequestError as error:
            notice(f"the verdicts are not kept in the manifest: {error}")
    return checks


def _with_verdicts(bundle: Bundle, manifest: Manifest, checks: Sequence[ComponentCheck]) -> Manifest:
    """Add the verdicts to `manifest`, the present one of the folder. Its graphs must be those that were checked."""
    chains = manifest.components
    for name, chain in bundle.manifest.components.items():
        if name not in chains or chains[name].graphs != chain.graphs:
            raise RequestError(f"{bundle.folder} was replaced while it was judged", "check it anew")
    verdicts = {
        check.name: replace(chains[check.name], webnn=_manifest_verdict(check, chains[check.name])) for check in checks
    }
    return replace(manifest, components={**chains, **verdicts})


def _manifest_verdict(check: ComponentCheck, chain: Chain) -> Verdict:
    """The verdict for the manifest. Where no browser was used, an earlier verdict of a browser stays."""
    verdict = check.to_json()
    earlier_graphs = [] if chain.webnn is None else chain.webnn["graphs"]
    for graph, earlier in zip(verdict["graphs"], earlier_graphs, strict=False):
        graph["browser"] = graph["browser"] or earlier["browser"]
    return verdict


def _findings(bundle: Bundle, graph: Graph, targets: Sequence[Target]) -> tuple[Finding, ...]:
    path = bundle.path(graph)
    return tuple(dict.fromkeys(finding for target in targets for finding in check_static(path, target)))


def _placements(
    bundle: Bundle, chains: Mapping[str, Chain], targets: Sequence[Target], progress: ReportFraction
) -> dict[Graph, tuple[PlacementVerdict, ...]]:
    placements: dict[Graph, tuple[PlacementVerdict, ...]] = {}
    verdicts_per_graph = len(targets) * len(OPTIMIZATIONS)
    with Provider() as provider:
        for name, chain in chains.items():
            total = verdicts_per_graph * len(chain.graphs)
            for graph in chain.graphs:
                for placement in provider.place(bundle.path(graph), targets):
                    placements[graph] = (*placements.get(graph, ()), placement)
                    completed = sum(len(placements.get(chain_graph, ())) for chain_graph in chain.graphs)
                    progress(name, "placing", completed / total)
    return placements


def _browser_checks(
    bundle: Bundle, chains: Mapping[str, Chain], limit_s: float, progress: ReportFraction
) -> dict[Graph, BrowserCheck]:
    """Run each graph in the browser, in its own page, which is closed before the next one opens."""
    checks: dict[Graph, BrowserCheck] = {}
    with Chromium() as chromium:
        runs = record_runs(bundle, lambda name, completed, total: progress(name, "on the CPU", completed / total))
        for name, chain in chains.items():
            for completed, graph in enumerate(chain.graphs, 1):
                run = runs.pop(graph)
                verdict = chromium.run(bundle.path(graph), run.inputs, limit_s=limit_s)
                gate = BROWSER_GATES[bundle.manifest.precision]
                checks[graph] = BrowserCheck(verdict, _figures(run, verdict), gate)
                progress(name, "in Chromium", completed / len(chain.graphs))
    return checks


def _figures(run: GraphRun, verdict: BrowserVerdict) -> dict[str, Figures]:
    return {name: compare(run.outputs[name], output) for name, output in verdict.outputs.items()}
