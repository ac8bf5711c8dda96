"""The process that makes a bundle's files, for `export.worker.run_worker`, which starts it."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from turbo_webnn.export.job import BundleJob
from turbo_webnn.models.errors import RequestError


def main() -> int:
    """Do the job on standard input, which stays open for as long as the process lives that asked for it."""
    events = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is no event

    def tell(event: Mapping[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")

    job = BundleJob.from_json(sys.stdin.readline())
    from turbo_webnn.export.assembly import assemble

    gc.freeze()  # what libraries hold stays: no collection need look at it, nor copy its pages in a forked process
    try:
        assemble(job, lambda *progress: tell({"progress": progress}), sys.stdin.fileno())
    except RequestError as error:
        tell({"refused": str(error)})
    except OSError as error:
        tell({"failed": [error.errno, error.strerror, error.filename and str(error.filename)]})
    except MemoryError:
        tell({"refused": "there is not enough memory; close other programs, or export one --component at a time"})
    else:
        tell({"done": True})
    return 0


if __name__ == "__main__":
    sys.exit(main())
