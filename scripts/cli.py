"""The `turbo-webnn` command. It can be stopped at any time, and every error ends it with one line of text.

Exit status:
    0: done.
    1: a verdict that fails (`check`, `verify`).
    2: a request that cannot be served, or a run that was stopped: one line says what is wrong and what would be right.
    3: a defect of turbo-webnn: one line names it. With TURBO_WEBNN_DEBUG=1 the traceback follows.
"""

from __future__ import annotations

import os
import sys

from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.python_process import leave_working_folder
from turbo_webnn.models.staging.interruption import ignore_stop_signals, stop_requested, stoppable

REQUEST, DEFECT = 2, 3

_HINTS = {"TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error"}
"""Settings that hide the hints of libraries."""


def main() -> int:
    """Run the command; return its exit status."""
    as_json = "--json" in sys.argv
    leave_working_folder()
    try:
        with stoppable():
            status = _run()
    except BaseException as error:  # noqa: BLE001 - every error becomes a line and an exit status
        ignore_stop_signals()  # so that the line about it is printed completely
        status = _fail(error, as_json=as_json)
    ignore_stop_signals()
    from turbo_webnn.scripts.console import finish

    finish()
    return status


def _run() -> int:
    os.environ.update({name: value for name, value in _HINTS.items() if name not in os.environ})
    # the imports from here on take time; Ctrl-C already works
    from turbo_webnn.scripts.console import prepare

    prepare()
    import click

    from turbo_webnn.scripts.app import app

    try:
        app(standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return REQUEST
    except click.ClickException as error:
        raise RequestError(f"{error.format_message().rstrip('.')}; see: turbo-webnn --help") from error
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _fail(error: BaseException, *, as_json: bool) -> int:
    """Print the error in one line; return the exit status."""
    from turbo_webnn.scripts.console import fail

    if stop_requested() or isinstance(error, KeyboardInterrupt):
        return fail("stopped before the end; nothing was written", REQUEST, as_json=as_json)
    if isinstance(error, RequestError):
        return fail(str(error), REQUEST, as_json=as_json)
    if isinstance(error, MemoryError):
        return fail("there is not enough memory; close other programs", REQUEST, as_json=as_json)
    if os.environ.get("TURBO_WEBNN_DEBUG"):
        import traceback

        traceback.print_exception(error)
    description = " ".join(f"{type(error).__name__}: {error}".split())
    return fail(
        f"this is a defect of turbo-webnn ({description}); please report it with what TURBO_WEBNN_DEBUG=1 adds",
        DEFECT,
        as_json=as_json,
    )


if __name__ == "__main__":
    sys.exit(main())
