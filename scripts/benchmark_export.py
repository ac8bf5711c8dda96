"""Time and memory of a full-size export, compared with optimum where its environment exists.

    python -m turbo_webnn.scripts.benchmark_export sd-turbo --work FOLDER [--optimum .venv-optimum]

Time is wall-clock time of a run without a memory measurement, which uses much of a core. Memory is measured in a
separate run: the proportional set size of all processes together, where shared pages count once and pages of a mapped
checkpoint count. Run it on a machine without other load.
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
    """The cost of a command: wall-clock seconds, peak bytes and exit status."""

    seconds: float
    peak: int
    status: int

    def __str__(self) -> str:
        return f"{self.seconds:6.1f} s {self.peak / 1e9:6.2f} GB" + (f"   exit {self.status}" if self.status else "")


def measure_cost(command: list[str], runs: int) -> Cost:
    """Run `command` `runs` times for the median time, and once more for the memory of all its processes."""
    times = []
    for _ in range(runs):
        start_time = time.perf_counter()
        status = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
        times.append(time.perf_counter() - start_time)
    return Cost(statistics.median(times), _peak(command), status)


def _peak(command: list[str]) -> int:
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        tree = psutil.Process(process.pid)
        while process.poll() is None:
            with suppress(psutil.Error):  # a process ended between the listing and the measurement
                peak = max(peak, sum(map(_proportional_bytes, (tree, *tree.children(recursive=True)))))
            time.sleep(_SAMPLE_S)
    return peak


def _proportional_bytes(process: psutil.Process) -> int:
    """The sum over a process's mappings from Linux; psutil would read every mapping."""
    try:
        rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 1024 * int(re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)[1])  # type: ignore[index]


def main() -> int:
    """Create the checkpoint where it is missing, export it, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset")
    parser.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()), help="where checkpoints and bundles lie"
    )
    parser.add_argument("--precision", default="fp16")
    parser.add_argument("--runs", type=int, default=3, help="of ours, for the median")
    parser.add_argument("--optimum", type=Path, help="an environment that holds optimum-onnx")
    arguments = parser.parse_args()
    checkpoint = arguments.work / arguments.preset
    if not checkpoint.is_dir():
        synthesize(arguments.preset, checkpoint)
    bundle = arguments.work / f"{arguments.preset}-{arguments.precision}"
    command = [sys.executable, "-m", "turbo_webnn.scripts.cli"]
    export_command = [*command, "export", str(checkpoint), "-o", str(bundle), "--overwrite"]
    cost = measure_cost([*export_command, "--precision", arguments.precision], arguments.runs)
    print(f"turbo-webnn {arguments.precision:5}", cost)  # noqa: T201
    components = Bundle.open(bundle).manifest.components
    print(json.dumps({name: graph.nodes for name, graph in components.items()}))  # noqa: T201
    if arguments.optimum:
        exporter = [str(arguments.optimum / "bin/optimum-cli"), "export", "onnx", "--task", "text-to-image"]
        print("optimum-onnx     ", measure_cost([*exporter, "--model", str(checkpoint), f"{bundle}-optimum"], 1))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
