"""Repetition of a kept failure with the real command."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from turbo_webnn.models.errors import RequestError
from turbo_webnn.scripts.fuzz.campaign import QUIET
from turbo_webnn.scripts.fuzz.cases import Command
from turbo_webnn.scripts.fuzz.outcome import Outcome, faults_of
from turbo_webnn.scripts.fuzz.runner import Run

_POLL_S = 0.02


def replay(record: Path) -> tuple[Outcome, list[str]]:
    """Run the command of the kept `case.json` at `record` on a copy of its input.

    Raises:
        RequestError: where `record` is no kept case.
    """
    try:
        kept_command = json.loads(record.read_text())["command"]
        command = Command(tuple(kept_command["words"]), kept_command["told"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{record} is no kept case ({error})", "give a case.json that the fuzzer kept") from error
    with tempfile.TemporaryDirectory(prefix="turbo-webnn-fuzz-") as scratch:
        damaged, output = Path(scratch, "input"), Path(scratch, "output", "result")
        subprocess.run(["cp", "-a", record.parent / "input", damaged], check=True)
        output.parent.mkdir()
        environment = QUIET | {"XDG_CACHE_HOME": str(Path(scratch, "cache"))}
        run = Run(command.with_paths(damaged, output), Path(scratch, "working"), environment, whole=True)
        while (outcome := run.poll()) is None:
            time.sleep(_POLL_S)
        faults = faults_of(outcome, command.verb, output, told=command.told)
        shutil.rmtree(damaged, ignore_errors=True)
    return outcome, faults
