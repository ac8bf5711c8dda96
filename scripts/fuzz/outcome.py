"""The outcome of one run of the command, and the faults in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

TIME_LIMIT_S = 30.0
MEMORY_LIMIT_BYTES = 2_000_000_000

DONE, VERDICT, REFUSED = 0, 1, 2
"""The permitted exit statuses; VERDICT is a failed verdict of `check` or `verify`."""

FAULTS = {
    "traceback": "tracebacks",
    "crash": "ended by a signal or with an unknown status",
    "slow": f"beyond {TIME_LIMIT_S:.0f} s",
    "large": f"over {MEMORY_LIMIT_BYTES / 1e9:.0f} GB",
    "long refusal": "refusals of more than one line",
    "damage accepted": "accepted where a sha256 tells the damage",
    "half written": "refused and yet written",
    "not JSON": "manifests that no JSON parser reads",
    "foreign code": "runs of a checkpoint's code",
    "process left": "processes left behind",
}
"""The faults, none of which may occur, and their descriptions in the counts."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one run of the command.

    Attributes:
        status: the exit status; the negative number of a signal that ended it.
        seconds: the duration until its end, or until it was killed at the time limit.
        peak_bytes: the peak memory of the process and its child processes together.
        stdout: the standard output.
        stderr: the standard error.
        left: the names of child processes that still ran after its end.
    """

    status: int
    seconds: float
    peak_bytes: int
    stdout: str
    stderr: str
    left: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the command accepted the input."""
        return self.status in (DONE, VERDICT)


def faults_of(outcome: Outcome, verb: str, output: Path, *, told: bool) -> list[str]:
    """Find the faults of a run.

    Args:
        outcome: of the run.
        verb: the subcommand.
        output: the path that the run should write.
        told: whether a sha256 reveals the damage of the input.

    Returns:
        Keys of FAULTS.
    """
    slow, large = outcome.seconds >= TIME_LIMIT_S, outcome.peak_bytes >= MEMORY_LIMIT_BYTES
    traceback = "Traceback (most recent call last)" in outcome.stdout + outcome.stderr
    allowed = (DONE, VERDICT, REFUSED) if verb in ("check", "verify") else (DONE, REFUSED)
    written = [output, output.with_suffix(".png"), *output.parent.glob(f".{output.name}*")]
    occurred = {
        "slow": slow,
        "large": large,
        "traceback": traceback,
        "crash": outcome.status not in allowed and not (slow or large or traceback),
        "long refusal": outcome.status == REFUSED and not _is_one_line(outcome.stderr),
        "damage accepted": told and outcome.accepted,
        "half written": outcome.status == REFUSED and any(path.exists() for path in written),
        "not JSON": outcome.status == DONE and not _is_strict_json(output / "manifest.json"),
        "foreign code": "foreign code ran" in outcome.stdout + outcome.stderr,
        "process left": bool(outcome.left),
    }
    return [fault for fault in FAULTS if occurred[fault]]


def _is_one_line(text: str) -> bool:
    return text.startswith("turbo-webnn: ") and text.endswith("\n") and len(text.splitlines()) == 1


def _is_strict_json(path: Path) -> bool:
    """Whether `path` is JSON without NaN and infinity; true for a missing file."""
    if not path.is_file():
        return True
    constants: list[str] = []
    json.loads(path.read_bytes(), parse_constant=constants.append)
    return not constants
