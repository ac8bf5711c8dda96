"""Runs jobs in separate processes, a few at a time: a trace uses one core, and frees its memory when it ends."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.progress import ReportFraction

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_side_by_side(
    work: Callable[[Job, Callable[[str, float], None]], Result],
    jobs: Mapping[str, Job],
    report: ReportFraction,
    *,
    limit: int,
    lifeline: int | None = None,
) -> dict[str, Result]:
    """Run `work(job, progress)` for each of `jobs`, `limit` at a time, in order.

    On Linux the processes are forked, so that all share the libraries that the caller has loaded. The caller's process
    must then have no other threads.

    Args:
        work: the function that does a job. Its second argument receives the progress.
        jobs: the jobs by name.
        report: receives the name of a job and its progress.
        limit: the number of jobs that run at the same time.
        lifeline: a descriptor that becomes readable when no process waits for the results any more.

    Returns:
        The results by name, in the order of `jobs`.

    Raises:
        SystemExit: if `lifeline` becomes readable; the jobs are ended first.
        RequestError: if a process was killed.
        Exception: the exception of a job; the other jobs are ended first.
    """
    # the collector does not touch frozen objects, so their pages stay shared
    gc.freeze()
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    pending = list(jobs.items())
    running: dict[Connection, tuple[str, BaseProcess]] = {}
    results: dict[str, Result] = {}
    try:
        while pending or running:
            while pending and len(running) < limit:
                name, job = pending.pop(0)
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_run_job, args=(sender, work, job), daemon=True)
                process.start()
                sender.close()
                running[receiver] = (name, process)
            for ready in wait([*running, *([] if lifeline is None else [lifeline])]):
                if ready == lifeline:
                    raise SystemExit(1)
                assert isinstance(ready, Connection)
                name, process = running[ready]
                kind, content = _receive(ready, name, process)
                if kind == "progress":
                    report(name, *content)
                elif kind == "failed":
                    raise content
                else:
                    results[name] = content
                    process.join()
                    del running[ready]
    finally:
        gc.unfreeze()
        for _, process in running.values():
            process.kill()
            process.join()
    return {name: results[name] for name in jobs}


def _receive(connection: Connection, name: str, process: BaseProcess) -> tuple[str, Any]:
    try:
        return connection.recv()  # type: ignore[no-any-return]
    except EOFError:
        process.join()
        raise RequestError(
            f"the process that exports {name} was ended from outside (exit {process.exitcode})",
            "it probably ran out of memory: close other programs, or export one --component at a time",
        ) from None


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run_job(connection: Connection, work: Callable[[Any, Any], Any], job: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def progress(doing: str, fraction: float) -> None:
        connection.send(("progress", (doing, fraction)))

    try:
        result = work(job, progress)
    except Exception as error:  # noqa: BLE001 - sent to the parent, which raises it
        connection.send(("failed", error))
    else:
        connection.send(("done", result))
    connection.close()
