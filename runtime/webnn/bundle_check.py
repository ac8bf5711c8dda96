"""Judging a bundle's graphs: by the rules, by the real provider, in a real browser. The manifest keeps the verdicts."""

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
from turbo_webnn.runtime.webnn.rehearsal import Passage, rehearse

_LOG = logging.getLogger(__name__)

SHOWN = 3
"""Findings told to people for one graph: weights that a table does not take are hundreds, alike."""


@dataclass(frozen=True)
class BrowserCheck:
    """What a real browser did with one graph, and how far its outputs are from onnxruntime's on the CPU.

    Attributes:
        figures: by output; empty where it did not run.
    """

    verdict: BrowserVerdict
    figures: Mapping[str, Figures]
    gate: Gate

    @property
    def passed(self) -> bool:
        """Whether the graph was built wholly on WebNN, ran, and gave what onnxruntime gives."""
        return self.verdict.whole and all(map(self.gate.passes, self.figures.values()))

    @property
    def worst(self) -> Figures | None:
        """The figures of the output that is farthest away."""
        return max(self.figures.values(), key=lambda figures: (not figures.finite, figures.relative_l2), default=None)

    @property
    def reason(self) -> str:
        """Why it does not pass, in one line; empty where it does."""
        if self.passed or not self.verdict.whole or self.worst is None:
            return self.verdict.reason
        apart = f"relative L2 {self.worst.relative_l2:.2e}" if self.worst.finite else "not finite"
        return f"outputs are not onnxruntime's: {apart}, the gate is {self.gate.relative_l2:g}"

    def to_json(self) -> BrowserRun:
        """The verdict as the manifest keeps it."""
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
        created, ran = ((spent or 0.0) / 1000 for spent in (self.verdict.create_ms, self.verdict.run_ms))
        took = f"built in {created:.1f} s, ran in {ran:.1f} s"
        return f"Chromium {self.verdict.browser}: {took}, relative L2 {self.worst.relative_l2:.1e}"


@dataclass(frozen=True)
class GraphCheck:
    """What was found about one graph.

    Attributes:
        findings: by the rules, over all tables; equal ones of several tables once.
        placements: the provider's verdicts, one for each table at each level of optimisation; none where the
            provider was not asked.
        browser: None where no browser was asked.
        on_cpu: whether its layout has it run on the CPU, so that nobody was asked.
    """

    graph: Graph
    findings: tuple[Finding, ...]
    placements: tuple[PlacementVerdict, ...]
    browser: BrowserCheck | None
    on_cpu: bool = False

    @property
    def whole_targets(self) -> set[str]:
        """The tables that take the graph whole at every level of optimisation."""
        return {each.target for each in self.placements} - {each.target for each in self.placements if not each.whole}

    @property
    def passed(self) -> bool:
        """Whether nothing keeps the graph off WebNN: waste is told, and passes."""
        harmless = all(finding.effect is Effect.WASTE for finding in self.findings)
        placed = all(placement.whole for placement in self.placements)
        return harmless and placed and (self.browser is None or self.browser.passed)

    def to_json(self) -> GraphVerdict:
        """The verdict as the manifest keeps it."""
        return {
            "path": self.graph.path,
            "whole": self.passed,
            "findings": [str(finding) for finding in self.findings],
            "provider": {f"{each.target}/{each.optimization}": each.whole for each in self.placements},
            "browser": None if self.browser is None else self.browser.to_json(),
        }

    def to_text(self) -> str:
        """The verdict for people: a line, and one more for each thing that is wrong."""
        asked, whole = len(self.placements), sum(placement.whole for placement in self.placements)
        how = f"whole in {whole} of {asked}" if asked else "by the rules alone"
        if 0 < whole < asked:
            how += f": {', '.join(sorted(self.whole_targets))}"
        verdict = "WebNN" if self.passed else "NOT WebNN"
        if self.on_cpu:
            verdict, how = "CPU", "by its layout: WebNN has not all its operators"
        lines = [f"{self.graph.path:28}{self.graph.nodes:>6} nodes   {verdict:10}{how}"]
        lines += [f"  {self.browser}"] if self.browser else []
        lines += [f"  {finding}" for finding in self.findings[:SHOWN]]
        lines += (
            [f"  and {len(self.findings) - SHOWN} more findings: --json tells all"] if self.findings[SHOWN:] else []
        )
        refused: dict[str, list[str]] = {}
        for each in self.placements:
            if not each.whole:
                refused.setdefault(each.reason, []).append(f"{each.target}/{each.optimization}")
        lines += [f"  {', '.join(places)}: {reason}" for reason, places in refused.items()]
        return "\n".join(lines)


@dataclass(frozen=True)
class ComponentCheck:
    """What was found about the graphs of one component."""

    name: str
    graphs: tuple[GraphCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether every graph passes."""
        return all(graph.passed for graph in self.graphs)

    def to_json(self) -> Verdict:
        """The verdict as the manifest keeps it."""
        return {"whole": self.passed, "graphs": [graph.to_json() for graph in self.graphs]}

    def to_text(self) -> str:
        """The verdict for people, graph by graph."""
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
    """Judge each component of `bundle`, and write the verdicts into its manifest where more than rules were asked.

    Args:
        bundle: the bundle to check.
        provider: whether to ask the real provider, which needs Node.
        browser_limit_s: seconds that each graph may take in a real Chromium, which runs it on what passes through
            it in a real run; None for no browser. One that hangs or dies is a verdict with its reason.
        targets: names of the tables to judge by; all where none is named. Weights of 4 bits have none on some.
        progress: receives the component, the activity and the completed fraction of it.
        notice: told in a line where the verdicts could not be written.

    A graph that its layout has run on the CPU is not judged.

    Raises:
        RequestError: where a file is not the one that the manifest names, a graph cannot be read or, for a browser,
            run by onnxruntime, or Node, onnxruntime-web or a browser is missing.
    """
    bundle.require_intact()
    chains = bundle.manifest.components
    judged = {name: chain for name, chain in chains.items() if not chain.on_cpu}
    tables = [load_target(name) for name in targets] or verdict_targets()
    findings = {graph: _findings(bundle, graph, tables) for chain in judged.values() for graph in chain.graphs}
    placements = _placements(bundle, judged, tables, progress) if provider else {}
    ran = {} if browser_limit_s is None else _ran(bundle, judged, browser_limit_s, progress)
    checks = [
        ComponentCheck(
            name,
            tuple(
                GraphCheck(graph, findings.get(graph, ()), placements.get(graph, ()), ran.get(graph), chain.on_cpu)
                for graph in chain.graphs
            ),
        )
        for name, chain in chains.items()
    ]
    if placements or ran:
        try:
            update_manifest(bundle.folder, lambda manifest: _with_verdicts(bundle, manifest, checks))
        except RequestError as error:
            notice(f"the verdicts are not kept in the manifest: {error}")
    return checks


def _with_verdicts(bundle: Bundle, manifest: Manifest, checks: Sequence[ComponentCheck]) -> Manifest:
    """The `manifest` that the bundle's folder has now, with verdicts on graphs that must still be the ones judged."""
    chains = manifest.components
    for name, chain in bundle.manifest.components.items():
        if name not in chains or chains[name].graphs != chain.graphs:
            raise RequestError(f"{bundle.folder} was replaced while it was judged", "check it anew")
    verdicts = {check.name: replace(chains[check.name], webnn=_kept(check, chains[check.name])) for check in checks}
    return replace(manifest, components={**chains, **verdicts})


def _kept(check: ComponentCheck, chain: Chain) -> Verdict:
    """The verdict for the manifest, with an earlier browser's where none was asked this time."""
    verdict = check.to_json()
    for graph, before in zip(verdict["graphs"], [] if chain.webnn is None else chain.webnn["graphs"], strict=False):
        graph["browser"] = graph["browser"] or before["browser"]
    return verdict


def _findings(bundle: Bundle, graph: Graph, targets: Sequence[Target]) -> tuple[Finding, ...]:
    path = bundle.path(graph)
    return tuple(dict.fromkeys(finding for target in targets for finding in check_static(path, target)))


def _placements(
    bundle: Bundle, judged: Mapping[str, Chain], targets: Sequence[Target], progress: ReportFraction
) -> dict[Graph, tuple[PlacementVerdict, ...]]:
    placements: dict[Graph, tuple[PlacementVerdict, ...]] = {}
    asked = len(targets) * len(OPTIMIZATIONS)
    with Provider() as provider:
        for name, chain in judged.items():
            for graph in chain.graphs:
                for placement in provider.place(bundle.path(graph), targets):
                    placements[graph] = (*placements.get(graph, ()), placement)
                    done = sum(len(placements.get(each, ())) for each in chain.graphs)
                    progress(name, "placing", done / (asked * len(chain.graphs)))
    return placements


def _ran(
    bundle: Bundle, judged: Mapping[str, Chain], limit_s: float, progress: ReportFraction
) -> dict[Graph, BrowserCheck]:
    """Each graph in the browser, on a page of its own that is gone before the next one's."""
    checks: dict[Graph, BrowserCheck] = {}
    with Chromium() as chromium:
        passages = rehearse(bundle, lambda name, done, runs: progress(name, "on the CPU", done / runs))
        for name, chain in judged.items():
            for done, graph in enumerate(chain.graphs, 1):
                passage = passages.pop(graph)
                verdict = chromium.run(bundle.path(graph), passage.inputs, limit_s=limit_s)
                gate = BROWSER_GATES[bundle.manifest.precision]
                checks[graph] = BrowserCheck(verdict, _compared(passage, verdict), gate)
                progress(name, "in Chromium", done / len(chain.graphs))
    return checks


def _compared(passage: Passage, verdict: BrowserVerdict) -> dict[str, Figures]:
    return {name: compare(passage.outputs[name], output) for name, output in verdict.outputs.items()}
