"""Exports over an older bundle that are interrupted at random moments, most of them near the replacement."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from turbo_webnn.models.bundle import MANIFEST, Bundle
from turbo_webnn.models.errors import RequestError
from turbo_webnn.scripts.fuzz.campaign import QUIET
from turbo_webnn.scripts.fuzz.outcome import DONE, REFUSED, TIME_LIMIT_S, Outcome
from turbo_webnn.scripts.fuzz.runner import Run, preload
from turbo_webnn.scripts.fuzz.stand_in import worker_replacement
from turbo_webnn.scripts.fuzz.watcher import Watcher

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)

TORN, FALSE, LEFT, ABSENT = "torn", "false words", "left behind after the next run", "moments without a bundle"
FAULTS = (TORN, FALSE, LEFT, ABSENT, "processes left behind", "tracebacks", "without end")
"""The faults, none of which may occur."""

_REAL_EVERY = 40
"""One of this number of interruptions is of a whole export by the real command."""

_NEAR = 0.8
"""The fraction of signals that are sent when all is written and only the replacement remains."""

_NEAR_S, _WHOLE_S, _REAL_S = 0.012, 0.15, 6.0
"""The largest delay of a signal in seconds: after the last byte, after the start, after the start of a real export."""

_POLL_S = 0.001
_PRECISIONS = ("fp16", "fp32")
"""The two bundles that replace each other in turn."""


@dataclass
class Counts:
    """The counts of a campaign; `looks` is the number of checks by a reader for the bundle."""

    signals: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    near: int = 0
    real: int = 0
    looks: int = 0

    def to_text(self) -> str:
        """The counts as text."""
        signals = ", ".join(f"{name} {number}" for name, number in sorted(self.signals.items()))
        ends = ", ".join(f"{number} {name}" for name, number in sorted(self.ends.items()))
        faults = ", ".join(f"{self.faults[name]} {name}" for name in FAULTS)
        return (
            f"{self.signals.total():,} interruptions ({signals}), {self.near} of them near the replacement, "
            f"{self.real} of whole exports, {self.looks:,} looks by a reader: {faults}; the interrupted runs: {ends}"
        )


def run_interruptions(number: int, seed: int) -> Counts:
    """Interrupt `number` exports; print each fault on standard error."""
    preload()
    with tempfile.TemporaryDirectory(prefix="turbo-webnn-fuzz-") as scratch:
        campaign = Campaign(Path(scratch), seed)
        with Watcher(campaign.output) as watcher:
            for i in range(number):
                campaign.interrupt(watcher, real=i % _REAL_EVERY == _REAL_EVERY - 1)
        return campaign.counts


class Campaign:
    """Interruptions of exports to one path.

    Attributes:
        output: the path.
        counts: the counts so far.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._rng = Random(f"interruptions {seed}")  # noqa: S311 - a seed must give the same interruptions again
        self._folder = folder
        self._environment = QUIET | {"XDG_CACHE_HOME": str(folder / "cache")}
        self._bundles = {precision: folder / precision for precision in _PRECISIONS}
        self.output = folder / "output" / "bundle"
        self.counts = Counts()
        for precision, bundle in self._bundles.items():
            if (outcome := _wait_for(self._start_real_export(bundle, precision))).status:
                raise RuntimeError(f"the good bundle could not be made: {outcome}")
        self.output.parent.mkdir()
        shutil.copytree(self._bundles[_PRECISIONS[0]], self.output)
        self._current_precision = _PRECISIONS[0]

    def interrupt(self, watcher: Watcher, *, real: bool) -> None:
        """Interrupt one export; after SIGKILL run another export."""
        number, near = self._rng.choice(SIGNALS), self._rng.random() < _NEAR
        self.counts.signals[number.name] += 1
        self.counts.near += near
        self.counts.real += real
        watcher.watch(on=True)
        with self._started_export(real=real, near=near) as run:
            os.kill(run.pid, number)  # an ended process keeps its id until it is polled
            self._check(_wait_for(run), killed=number is signal.SIGKILL)
        if number is signal.SIGKILL:
            with self._started_export(real=False, near=True) as run:
                self._check(_wait_for(run), killed=False)
        watcher.watch(on=False)
        self.counts.looks = watcher.looks
        self.counts.faults[ABSENT] = watcher.misses

    @contextmanager
    def _started_export(self, *, real: bool, near: bool) -> Iterator[Run]:
        """Start an export of the other bundle, and run the block at the moment of its signal."""
        next_precision = self._next_precision()
        if real:
            run = self._start_real_export(self.output, next_precision)
            while near and not self._is_written() and _is_running(run):
                time.sleep(_POLL_S)
            time.sleep(self._rng.uniform(0, _NEAR_S if near else _REAL_S))
            yield run
            return
        reading, writing = os.pipe()
        words = ["export", "tiny", "-o", str(self.output), "--overwrite", "--component", "text_encoder"]
        prepare = worker_replacement(self._bundles[next_precision], writing)
        run = Run(words, self._folder / "working", self._environment, prepare=prepare)
        os.close(writing)
        if near:
            select.select([reading], [], [], TIME_LIMIT_S)
        time.sleep(self._rng.uniform(0, _NEAR_S if near else _WHOLE_S))
        yield run
        os.close(reading)

    def _next_precision(self) -> str:
        return next(precision for precision in _PRECISIONS if precision != self._current_precision)

    def _start_real_export(self, output: Path, precision: str) -> Run:
        """Start an export by the real command."""
        words = ["export", "tiny", "-o", str(output), "--component", "text_encoder", "--precision", precision]
        return Run([*words, "--overwrite"], self._folder / "working", self._environment, whole=True)

    def _is_written(self) -> bool:
        """Whether a run has written all files and not yet moved them to the output."""
        return any(self.output.parent.glob(f".{self.output.name}*/**/{MANIFEST}"))

    def _check(self, outcome: Outcome, *, killed: bool) -> None:
        """Compare the exit status of a run with the bundle at the output."""
        next_precision, previous_precision = self._next_precision(), self._current_precision
        try:
            bundle = Bundle.open_unread(self.output)
            bundle.require_intact()
            self._current_precision = bundle.manifest.precision
        except RequestError as error:
            self._report_fault(TORN, outcome, str(error))
            shutil.rmtree(self.output, ignore_errors=True)
            shutil.copytree(self._bundles[previous_precision], self.output)
        replaced = self._current_precision == next_precision
        self.counts.ends[f"{'replaced' if replaced else 'left'} with status {outcome.status}"] += 1
        if killed:
            return
        if replaced if outcome.status != DONE else not replaced:
            self._report_fault(FALSE, outcome, f"it is{'' if replaced else ' not'} replaced")
        if outcome.status not in (DONE, REFUSED, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP):
            self._report_fault("tracebacks", outcome)
        if outcome.seconds >= TIME_LIMIT_S:
            self._report_fault("without end", outcome)
        if outcome.left:
            self._report_fault("processes left behind", outcome, ", ".join(outcome.left))
        leftovers = [path for path in self.output.parent.iterdir() if path != self.output]
        if leftovers:
            self._report_fault(LEFT, outcome, ", ".join(path.name for path in leftovers))
            for path in leftovers:
                shutil.rmtree(path, ignore_errors=True)

    def _report_fault(self, name: str, outcome: Outcome, detail: str = "") -> None:
        self.counts.faults[name] += 1
        last_line = (outcome.stderr.strip().splitlines() or [""])[-1]
        sys.stderr.write(f"{name}: {detail}; status {outcome.status}, {last_line[:300]}\n")


def _is_running(run: Run) -> bool:
    return os.waitid(os.P_PID, run.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _wait_for(run: Run) -> Outcome:
    while (outcome := run.poll()) is None:
        time.sleep(_POLL_S)
    return outcome
