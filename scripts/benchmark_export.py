"""Time and memory of a full-size export, beside optimum's where its environment is present.

    python -m scripts.benchmark_export sd-turbo --work FOLDER [--optimum .venv-optimum]

Memory is the proportional set size of all processes together, sampled twenty times a second: pages that several
share count once, and pages of a mapped checkpoint count. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from models.bundle import Bundle
from models.synth import synthesize

_SAMPLE_S = 0.05


@dataclass(frozen=True)
class Cost:
    """What a command took: wall-clock seconds, bytes at the peak, and its exit status."""

    seconds: float
    peak: int
    status: int

    def __str__(self) -> str:
        return f"{self.seconds:6.1f} s {self.peak / 1e9:6.2f} GB" + (f"   exit {self.status}" if self.status else "")


def measured(command: list[str]) -> Cost:
    """Run `command` to its end, and measure it with all its children."""
    began, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    tree = psutil.Process(process.pid)
    while process.poll() is None:
        peak = max(peak, _proportional_bytes(tree))
        time.sleep(_SAMPLE_S)
    if process.returncode and process.stderr:
        sys.stderr.write(process.stderr.read().decode()[-400:])
    return Cost(time.perf_counter() - began, peak, process.returncode)


def _proportional_bytes(root: psutil.Process) -> int:
    total = 0
    try:
        for process in (root, *root.children(recursive=True)):
            total += process.memory_full_info().pss
    except psutil.Error:
        pass  # ended between the listing and the look
    return total


def main() -> int:
    """Make the checkpoint where it is missing, export it, print a table."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("preset")
    ask.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), help="where checkpoints and bundles lie")
    ask.add_argument("--precision", default="fp16")
    ask.add_argument("--repeat", type=int, default=1)
    ask.add_argument("--optimum", type=Path, help="an environment that holds optimum-onnx")
    said = ask.parse_args()
    checkpoint = said.work / said.preset
    if not checkpoint.is_dir():
        synthesize(said.preset, checkpoint)
    bundle = said.work / f"{said.preset}-{said.precision}"
    ours = [sys.executable, "-m", "scripts.cli", "export", str(checkpoint), "-o", str(bundle), "--overwrite"]
    for _ in range(said.repeat):
        print(f"turbo-webnn {said.precision:5}", measured([*ours, "--precision", said.precision]))  # noqa: T201
    components = Bundle.open(bundle).manifest.components
    print(json.dumps({name: graph.nodes for name, graph in components.items()}))  # noqa: T201
    if said.optimum:
        exporter = [str(said.optimum / "bin/optimum-cli"), "export", "onnx", "--task", "text-to-image"]
        print("optimum-onnx     ", measured([*exporter, "--model", str(checkpoint), f"{bundle}-optimum"]))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
