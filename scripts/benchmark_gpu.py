"""Build, check and measure everything on a GPU: the figures of docs/measurements.md.

    python -m turbo_webnn.scripts.benchmark_gpu --work FOLDER [--preset sd-turbo --preset sdxl-turbo] [--rounds 50]

Seeded random weights of the published architectures, exported in float16 for batches of 1 and 4; parity on the GPU;
then latency side by side with PyTorch eager and torch.compile, and by itself under each choice that could be another.
What is there already is not made again. `--preset tiny --provider cpu` tries the script where there is no GPU.
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
"""From prompt to pixels on an H200, a picture of 512×512."""

CHOICES = {
    "no CUDA graph": ["--provider-option", "enable_cuda_graph=0"],
    "attention not fused": ["--no-fuse"],
    "NHWC": ["--provider-option", "prefer_nhwc=1"],
    "cuDNN by heuristic": ["--provider-option", "cudnn_conv_algo_search=HEURISTIC"],
}
"""What a change of one setting buys or costs."""


def turbo_webnn(*words: str | Path) -> Any:
    """What the command prints as JSON; ends the script where a request cannot be served."""
    said = [sys.executable, "-m", "turbo_webnn.scripts.cli", *map(str, words), "--json"]
    print("$ turbo-webnn", *words, file=sys.stderr, flush=True)  # noqa: T201
    done = subprocess.run(said, stdout=subprocess.PIPE, text=True)
    if done.returncode == 2:
        sys.exit(2)
    return json.loads(done.stdout)


def built(preset: str, work: Path) -> tuple[list[str | Path], list[Path]]:
    """The checkpoint as options of a verb name it, and its bundles of 1 and of 4."""
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


def measured(preset: str, work: Path, provider: str, rounds: int) -> dict[str, Any]:
    """All figures of one architecture."""
    source, bundles = built(preset, work)
    on = ["--provider", provider]
    timed = [*on, "--rounds", str(rounds), "--warmup", "5"]
    # to compile for a CPU takes longer than a trial is worth
    beside = ["--reference", *source] + ["--no-compile"] * (provider == "cpu")
    parity = turbo_webnn("verify", bundles[0], "--reference", *source, "--fuse", *on)  # what is timed
    compared = turbo_webnn("bench", *bundles, *beside, *timed)
    # what the CPU provider has no option for is left out there
    choices = CHOICES if provider == "cuda" else {"attention not fused": CHOICES["attention not fused"]}
    alone = {name: turbo_webnn("bench", bundles[0], *timed, *words) for name, words in choices.items()}
    return {"parity": parity, "compared": compared, "choices": alone}


def table(preset: str, found: dict[str, Any]) -> str:
    """The figures in Markdown, and whether they reach the targets."""
    lines = [f"### {preset}", "", f"Parity {'passes' if found['parity']['passed'] else 'FAILS'}.", ""]
    lines += ["| batch | what | side | median ms | p10 | p90 | ours to it | target ms |", "|" + " --- |" * 8]
    for bundle in found["compared"]["bundles"]:
        for row in bundle["rows"]:
            ours = row["ratio"] is None and bundle["batch"] == 1
            target = TARGETS_MS.get(preset, {}).get(row["task"]) if ours else None
            cells = [bundle["batch"], row["task"], row["side"], row["median_ms"], row["p10_ms"], row["p90_ms"]]
            lines.append(_row(*cells, row["ratio"] or "", target or ""))
    lines += ["", "| choice | what | median ms |", "| --- | --- | --- |"]
    for choice, report in found["choices"].items():
        lines += [_row(choice, row["task"], row["median_ms"]) for row in report["bundles"][0]["rows"]]
    lines += ["", "| batch | side | peak host GB | peak device GB |", "| --- | --- | --- | --- |"]
    for bundle in found["compared"]["bundles"]:
        for side, peak in bundle["peak_bytes"].items():
            lines.append(_row(bundle["batch"], side, *(f"{held / 1e9:.2f}" if held else "" for held in peak.values())))
    return "\n".join(lines)


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def main() -> int:
    """Measure, keep all in `figures.json`, print tables; 1 where parity fails."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--work", type=Path, required=True, help="where checkpoints, bundles and figures lie")
    ask.add_argument("--preset", action="append", help="sd-turbo and sdxl-turbo by default")
    ask.add_argument("--provider", default="cuda")
    ask.add_argument("--rounds", type=int, default=50)
    said = ask.parse_args()
    said.work.mkdir(parents=True, exist_ok=True)
    found = {}
    for preset in said.preset or ["sd-turbo", "sdxl-turbo"]:
        found[preset] = measured(preset, said.work, said.provider, said.rounds)
        (said.work / "figures.json").write_text(json.dumps(found, indent=2))
        print(table(preset, found[preset]), flush=True)  # noqa: T201
    return 0 if all(held["parity"]["passed"] for held in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
