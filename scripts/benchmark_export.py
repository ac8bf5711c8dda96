"""Time and memory of a full-size export, beside optimum's where its environment is present.

    python -m turbo_webnn.scripts.benchmark_export sd-turbo --work FOLDER [--optimum .venv-optimum]

Time is the wall clock's, of a run that nobody watches: looking at memory takes a good part of a core. Memory is that
of another run: the proportional set size of all processes together, where pages that several share count once and
pages of a mapped checkpoint count. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.synth import synthesize

_SAMPLE_S = 0.2


@dataclass(frozen=True)
class Cost:
    """What a command took: wall-clock seconds, bytes at the peak, and its exit status."""

    seconds: float
    peak: int
    status: int

    def __str__(self) -> str:
        return f"{self.seconds:6.1f} s {self.peak / 1e9:6.2f} GB" + (f"   exit {self.status}" if self.status else "")


def measured(command: list[str], runs: int) -> Cost:
    """Run `command` to its end `runs` times for the median time, and once more for the memory of all its processes."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        status = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
        times.append(time.perf_counter() - began)
    return Cost(statistics.median(times), _peak(command), status)


def _peak(command: list[str]) -> int:
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        tree = psutil.Process(process.pid)
        while process.poll() is None:
            with suppress(psutil.Error):  # one ended between the listing and the look
                peak = max(peak, sum(map(_proportional_bytes, (tree, *tree.children(recursive=True)))))
            time.sleep(_SAMPLE_S)
    return peak


def _proportional_bytes(process: psutil.Process) -> int:
    """Linux's own sum over a process's mappings; psutil would read every mapping."""
    try:
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 1024 * int(re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)[1])  # type: ignore[index]


def main() -> int:
    """Make the checkpoint where it is missing, export it, print a table."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("preset")
    ask.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), help="where checkpoints and bundles lie")
    ask.add_argument("--precision", default="fp16")
    ask.add_argument("--runs", type=int, default=3, help="of ours, for the median")
    ask.add_argument("--optimum", type=Path, help="an environment that holds optimum-onnx")
    said = ask.parse_args()
    checkpoint = said.work / said.preset
    if not checkpoint.is_dir():
        synthesize(said.preset, checkpoint)
    bundle = said.work / f"{said.preset}-{said.precision}"
    command = [sys.executable, "-m", "turbo_webnn.scripts.cli"]
    ours = [*command, "export", str(checkpoint), "-o", str(bundle), "--overwrite"]
    print(f"turbo-webnn {said.precision:5}", measured([*ours, "--precision", said.precision], said.runs))  # noqa: T201
    components = Bundle.open(bundle).manifest.components
    print(json.dumps({name: graph.nodes for name, graph in components.items()}))  # noqa: T201
    if said.optimum:
        exporter = [str(said.optimum / "bin/optimum-cli"), "export", "onnx", "--task", "text-to-image"]
        print("optimum-onnx     ", measured([*exporter, "--model", str(checkpoint), f"{bundle}-optimum"], 1))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
