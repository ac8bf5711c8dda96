"""A campaign of many cases: each is made, run and checked, and kept where a fault occurred."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.scripts.fuzz.cases import KINDS, Case, Command, Kind, make_case
from turbo_webnn.scripts.fuzz.outcome import FAULTS, Outcome, faults_of
from turbo_webnn.scripts.fuzz.runner import Run, preload

_POLL_S = 0.02
_ORIGINALS_S = 300.0
"""The time limit for an intact input, in seconds, on a machine with other load."""

_TAIL = 4000
"""The number of characters to keep of a faulty run's output."""

QUIET = {"HF_HUB_OFFLINE": "1", "TURBO_WEBNN_DEBUG": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
"""Environment variables of every run: no network, tracebacks of defects, and few threads."""


@dataclass
class Counts:
    """The counts of a campaign, by kind of input, command and fault."""

    cases: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    largest_bytes: int = 0

    def add(self, verb: str, outcome: Outcome, faults: Sequence[str]) -> None:
        """Count one run."""
        self.runs[verb] += 1
        self.accepted[verb] += outcome.accepted
        self.faults.update(faults)
        self.slowest_s = max(self.slowest_s, outcome.seconds)
        self.largest_bytes = max(self.largest_bytes, outcome.peak_bytes)

    def to_text(self) -> str:
        """The counts as text."""
        runs = ", ".join(f"{verb} {number} ({self.accepted[verb]} accepted)" for verb, number in self.runs.items())
        faults = ", ".join(f"{self.faults[fault]} {name}" for fault, name in FAULTS.items())
        cases = ", ".join(f"{self.cases[kind]:,} mutated {kind}s" for kind in KINDS)
        extremes = f"the slowest run took {self.slowest_s:.1f} s, the largest {self.largest_bytes / 1e9:.2f} GB"
        return f"{cases} through {runs}: {faults}; {extremes}"


@dataclass(frozen=True)
class Limits:
    """The limits of a campaign: the number of cases of each kind, and the seconds; None for no limit."""

    cases: int | None
    seconds: float | None


def run_campaign(limits: Limits, first_seed: int, jobs: int, keep: Path, kinds: Sequence[Kind]) -> Counts:
    """Run cases until a limit is reached; keep the faulty ones in `keep`."""
    preload()
    counts, start_time = Counts(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="turbo-webnn-fuzz-") as scratch:
        folder = Path(scratch)
        originals = _make_originals(folder)
        environment = QUIET | {"XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder / "temporary")}
        (folder / "temporary").mkdir()
        pending = _numbered_cases(kinds, first_seed, limits.cases)
        running: list[Iterator[None]] = []
        while True:
            out_of_time = limits.seconds is not None and time.monotonic() - start_time > limits.seconds
            while len(running) < jobs and not out_of_time and (next_case := next(pending, None)) is not None:
                running.append(_steps(*next_case, originals, folder, environment, keep, counts))
            if not running:
                return counts
            running = [steps for steps in running if next(steps, StopIteration) is not StopIteration]
            time.sleep(_POLL_S)


def _numbered_cases(kinds: Sequence[Kind], first_seed: int, cases: int | None) -> Iterator[tuple[Kind, int]]:
    for seed in count(first_seed):
        if cases is not None and seed >= first_seed + cases:
            return
        for kind in kinds:
            yield kind, seed


def _steps(
    kind: Kind,
    seed: int,
    originals: Mapping[str, Path],
    scratch: Path,
    environment: Mapping[str, str],
    keep: Path,
    counts: Counts,
) -> Iterator[None]:
    """Do all runs of one case; yield after each poll."""
    folder = scratch / f"{kind}-{seed}"
    folder.mkdir()
    case = make_case(kind, seed, originals, folder / "input")
    counts.cases[kind] += 1
    for number, command in enumerate(case.commands):
        outcome, faults = yield from _run_and_check(command, folder, number, environment, whole=False)
        if faults:  # a fork differs from a fresh start: only the result of the real command counts
            outcome, faults = yield from _run_and_check(command, folder, number, environment, whole=True)
        counts.add(command.verb, outcome, faults)
        if faults:
            _keep(case, command, folder / "input", outcome, faults, keep)
    shutil.rmtree(folder, ignore_errors=True)


def _run_and_check(
    command: Command, folder: Path, number: int, environment: Mapping[str, str], *, whole: bool
) -> Generator[None, None, tuple[Outcome, list[str]]]:
    """Run the command once; yield after each poll, and return the outcome and its faults."""
    work = folder / f"run-{number}{'-whole' if whole else ''}"
    output = work / "output" / "result"
    output.parent.mkdir(parents=True)
    run = Run(command.with_paths(folder / "input", output), work / "working", environment, whole=whole)
    while (outcome := run.poll()) is None:
        yield None
    faults = faults_of(outcome, command.verb, output, told=command.told)
    shutil.rmtree(work, ignore_errors=True)
    return outcome, faults


def _keep(case: Case, command: Command, damaged: Path, outcome: Outcome, faults: Sequence[str], keep: Path) -> None:
    """Write the case to its own folder: the unchanged input and the outcome."""
    folder = keep / f"{case.kind}-{case.seed}-{command.verb}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    subprocess.run(["cp", "-a", damaged, folder / "input"], check=True)  # keeps pipes and links
    record = {
        "kind": case.kind,
        "seed": case.seed,
        "damages": case.damages,
        "command": asdict(command),
        "faults": faults,
        "outcome": asdict(outcome) | {"stdout": outcome.stdout[-_TAIL:], "stderr": outcome.stderr[-_TAIL:]},
    }
    (folder / "case.json").write_text(json.dumps(record, indent=2))
    last_line = (outcome.stderr.strip().splitlines() or [""])[-1]
    sys.stderr.write(f"{folder}: {', '.join(faults)}: {last_line[:300]}\n")


def _make_originals(folder: Path) -> dict[str, Path]:
    """Make the intact inputs for the cases: a bundle of `tiny`, and a recipe for it."""
    bundle, quantized = folder / "bundle", folder / "quantized"
    for output, options in ((bundle, []), (quantized, ["--precision", "q4f16"])):
        words = ["export", "tiny", "-o", str(output), *options]
        _require_done(Run(words, folder / "export", QUIET, whole=True, limit_s=_ORIGINALS_S))
    Bundle.open(bundle)
    return {"bundle": bundle, "recipe": quantized / "report" / "recipe.json"}


def _require_done(run: Run) -> None:
    while (outcome := run.poll()) is None:
        time.sleep(_POLL_S)
    if outcome.status:
        raise RuntimeError(f"the good input could not be made: {outcome}")
