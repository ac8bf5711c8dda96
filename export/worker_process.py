"""The process that makes a bundle's files, for `export.worker.run_worker`, which starts it."""

from __future__ import annotations

import gc
import sys

from turbo_webnn.export.job import BundleJob, Event
from turbo_webnn.models.child_process import Parent
from turbo_webnn.models.errors import RequestError


def main() -> int:
    """Do the job on standard input, which stays open for as long as the process lives that asked for it."""
    parent = Parent()
    try:
        job = parent.receive(BundleJob)
        from turbo_webnn.export.assembly import assemble

        gc.freeze()  # what libraries hold stays: no collection need look at it, nor copy its pages in a forked process
        assemble(job, lambda *progress: parent.send(Event(progress=progress)), sys.stdin.fileno())
    except RequestError as error:
        parent.send(Event(refused=str(error)))
    except OSError as error:
        parent.send(Event(failed=(error.errno, error.strerror, error.filename and str(error.filename))))
    except MemoryError:
        refused = "there is not enough memory; close other programs, or export one --component at a time"
        parent.send(Event(refused=refused))
    else:
        parent.send(Event(done=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
