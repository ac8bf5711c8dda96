"""Build, check and measure everything on a GPU: the figures of docs/measurements.md.

    python -m turbo_webnn.scripts.benchmark_gpu --work FOLDER [--preset sd-turbo --preset sdxl-turbo] [--rounds 50]

Seeded random weights of the published architectures, exported in float16 for batches of 1 and 4; parity on the GPU;
then latency in comparison with PyTorch eager and torch.compile, and alone under each alternative setting.
Existing checkpoints and bundles are used again. `--preset tiny --provider cpu` tries the script where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from turbo_webnn.models.source import EMBEDDED

TARGETS_MS = {"sd-turbo": {"1 step": 23.0, "4 steps": 42.0}, "sdxl-turbo": {"1 step": 27.0, "4 steps": 61.0}}
"""The targets from prompt to pixels on an H200, for a picture of 512×512."""

CHOICES = {
    "no CUDA graph": ["--provider-option", "enable_cuda_graph=0"],
    "attention not fused": ["--no-fuse"],
    "NHWC": ["--provider-option", "prefer_nhwc=1"],
    "cuDNN by heuristic": ["--provider-option", "cudnn_conv_algo_search=HEURISTIC"],
}
"""The alternative settings to measure, each with its options."""


def turbo_webnn(*words: str | Path) -> Any:
    """Run the command and return its JSON output; exit where the request cannot be served."""
    command = [sys.executable, "-m", "turbo_webnn.scripts.cli", *map(str, words), "--json"]
    print("$ turbo-webnn", *words, file=sys.stderr, flush=True)  # noqa: T201
    completed = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if completed.returncode == 2:
        sys.exit(2)
    return json.loads(completed.stdout)


def build(preset: str, work: Path) -> tuple[list[str | Path], list[Path]]:
    """Create the checkpoint and its bundles for batches of 1 and 4.

    Returns:
        The checkpoint as arguments of a command, and the bundles.
    """
    source: list[str | Path] = [preset]
    if preset not in EMBEDDED:
        checkpoint = work / preset
        if not checkpoint.is_dir():
            turbo_webnn("synth", preset, "-o", checkpoint, "--variant", "fp16")
        source = [checkpoint, "--variant", "fp16"]
    bundles = [work / f"{preset}-fp16-{batch}" for batch in (1, 4)]
    for batch, bundle in zip((1, 4), bundles, strict=True):
        if not bundle.is_dir():
            turbo_webnn("export", *source, "-o", bundle, "--batch", str(batch))
    return source, bundles


def measure(preset: str, work: Path, provider: str, rounds: int) -> dict[str, Any]:
    """All figures of one architecture."""
    source, bundles = build(preset, work)
    provider_options = ["--provider", provider]
    bench_options = [*provider_options, "--rounds", str(rounds), "--warmup", "5"]
    # compilation for a CPU takes too long for a trial
    reference_options = ["--reference", *source] + ["--no-compile"] * (provider == "cpu")
    # --fuse, for the same graphs as in the benchmark
    parity = turbo_webnn("verify", bundles[0], "--reference", *source, "--fuse", *provider_options)
    compared = turbo_webnn("bench", *bundles, *reference_options, *bench_options)
    # the CPU provider does not have the other options
    choices = CHOICES if provider == "cuda" else {"attention not fused": CHOICES["attention not fused"]}
    by_choice = {name: turbo_webnn("bench", bundles[0], *bench_options, *words) for name, words in choices.items()}
    return {"parity": parity, "compared": compared, "choices": by_choice}


def table(preset: str, figures: dict[str, Any]) -> str:
    """The figures of one architecture as Markdown, with the targets."""
    lines = [f"### {preset}", "", f"Parity {'passes' if figures['parity']['passed'] else 'FAILS'}.", ""]
    lines += ["| batch | what | side | median ms | p10 | p90 | ours to it | target ms |", "|" + " --- |" * 8]
    for bundle in figures["compared"]["bundles"]:
        for row in bundle["rows"]:
            ours = row["ratio"] is None and bundle["batch"] == 1
            target = TARGETS_MS.get(preset, {}).get(row["task"]) if ours else None
            cells = [bundle["batch"], row["task"], row["side"], row["median_ms"], row["p10_ms"], row["p90_ms"]]
            lines.append(_row(*cells, row["ratio"] or "", target or ""))
    lines += ["", "| choice | what | median ms |", "| --- | --- | --- |"]
    for choice, report in figures["choices"].items():
        lines += [_row(choice, row["task"], row["median_ms"]) for row in report["bundles"][0]["rows"]]
    lines += ["", "| batch | side | peak host GB | peak device GB |", "| --- | --- | --- | --- |"]
    for bundle in figures["compared"]["bundles"]:
        for side, peak in bundle["peak_bytes"].items():
            lines.append(_row(bundle["batch"], side, *(f"{size / 1e9:.2f}" if size else "" for size in peak.values())))
    return "\n".join(lines)


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def main() -> int:
    """Measure, write `figures.json` and print tables; return 1 where parity fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="where checkpoints, bundles and figures lie")
    parser.add_argument("--preset", action="append", help="sd-turbo and sdxl-turbo by default")
    parser.add_argument("--provider", default="cuda")
    parser.add_argument("--rounds", type=int, default=50)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    figures = {}
    for preset in arguments.preset or ["sd-turbo", "sdxl-turbo"]:
        figures[preset] = measure(preset, arguments.work, arguments.provider, arguments.rounds)
        (arguments.work / "figures.json").write_text(json.dumps(figures, indent=2))
        print(table(preset, figures[preset]), flush=True)  # noqa: T201
    return 0 if all(figures_of_preset["parity"]["passed"] for figures_of_preset in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
