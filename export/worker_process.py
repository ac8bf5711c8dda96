"""The process that makes a bundle's files, for `export.worker.run_worker`, which starts it."""

from __future__ import annotations

import gc
import sys

from turbo_webnn.export.job import BundleJob, Event
from turbo_webnn.models.child_process import Parent
from turbo_webnn.models.errors import RequestError


def main() -> int:
    """Do the job from standard input. Standard input stays open until the parent process ends."""
    parent = Parent()
    try:
        job = parent.receive(BundleJob)
        if job.stage is None:
            from turbo_webnn.export.weight_judge import judge

            judge(job.plan)
        else:
            from turbo_webnn.export.assembly import assemble

            gc.freeze()  # objects of libraries stay alive: a collection would only copy their pages in forked processes
            assemble(job.plan, job.stage, lambda *progress: parent.send(Event(progress=progress)), sys.stdin.fileno())
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
