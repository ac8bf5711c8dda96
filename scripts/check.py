"""Judging a bundle: every graph by the rules and by the real provider, the verdicts kept in the manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from export.webnn.check import Effect, Finding, PlacementVerdict, check_static, verdict_targets
from export.webnn.provider import Provider
from models.bundle import Bundle, write_manifest

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class ComponentCheck:
    """What was found about one component.

    Attributes:
        findings: by the rules, over all tables; equal ones of several tables once.
        placements: the provider's verdicts, one for each table at each level of optimisation; none where the
            provider was not asked.
    """

    name: str
    nodes: int
    findings: tuple[Finding, ...]
    placements: tuple[PlacementVerdict, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing keeps the graph off WebNN: waste is told, and passes."""
        harmless = all(finding.effect is Effect.WASTE for finding in self.findings)
        return harmless and all(placement.whole for placement in self.placements)

    def to_json(self) -> dict[str, Any]:
        """The verdict as the manifest keeps it."""
        return {
            "whole": self.passed,
            "findings": [str(finding) for finding in self.findings],
            "provider": {f"{each.target}/{each.optimization}": each.whole for each in self.placements},
        }

    def to_text(self) -> str:
        """The verdict for people: a line, and one more for each thing that is wrong."""
        asked, whole = len(self.placements), sum(placement.whole for placement in self.placements)
        how = f"whole in {whole} of {asked}" if asked else "by the rules alone"
        lines = [f"{self.name:16}{self.nodes:>6} nodes   {'WebNN' if self.passed else 'NOT WebNN':10}{how}"]
        lines += [f"  {finding}" for finding in self.findings]
        refused: dict[str, list[str]] = {}
        for each in self.placements:
            if not each.whole:
                refused.setdefault(each.reason, []).append(f"{each.target}/{each.optimization}")
        lines += [f"  {', '.join(places)}: {reason}" for reason, places in refused.items()]
        return "\n".join(lines)


def check_bundle(bundle: Bundle, *, rules_only: bool, progress: Progress) -> list[ComponentCheck]:
    """Judge each component of `bundle`, and write the verdicts into its manifest.

    Raises:
        RequestError: where a graph cannot be read, or Node or onnxruntime-web is missing.
    """
    if rules_only:
        checks = [_check(bundle, name, ()) for name in bundle.manifest.components]
    else:
        with Provider() as provider:
            checks = [
                _check(bundle, name, _placed(provider, bundle, name, progress)) for name in bundle.manifest.components
            ]
        _keep(bundle, checks)
    return checks


def _placed(provider: Provider, bundle: Bundle, name: str, progress: Progress) -> tuple[PlacementVerdict, ...]:
    targets = verdict_targets()
    placements = []
    for placement in provider.place(bundle.path(name), targets):
        placements.append(placement)
        progress(name, len(placements) / (2 * len(targets)))
    return tuple(placements)


def _check(bundle: Bundle, name: str, placements: tuple[PlacementVerdict, ...]) -> ComponentCheck:
    findings = [finding for target in verdict_targets() for finding in check_static(bundle.path(name), target)]
    return ComponentCheck(name, bundle.graph(name).nodes, tuple(dict.fromkeys(findings)), placements)


def _keep(bundle: Bundle, checks: Sequence[ComponentCheck]) -> None:
    verdicts = {check.name: replace(bundle.graph(check.name), webnn=check.to_json()) for check in checks}
    write_manifest(bundle.folder, replace(bundle.manifest, components={**bundle.manifest.components, **verdicts}))
