"""Child processes that run a module of ours: they take modules from where libraries are installed.

`python -m` puts the working folder first on the path, where any file can have the name of a library's module: a
user's `export.py`, or a checkpoint's `secrets.py`. Ours start without it, and without anything of this process's path
but folders that hold installed packages.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from turbo_webnn.models.child_process import ChildProcess

_PACKAGE = __name__.split(".")[0]

_START = (
    "import json, runpy, sys; sys.path += [path for path in json.loads(sys.argv.pop(1)) if path not in sys.path]; "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
"""Runs a module as `python -m` does; what it adds to the path comes last, behind the standard library."""


class PythonProcess(ChildProcess):
    """The module `module` of ours as a child process, run with the words `words`.

    Args:
        environment: variables that are set for it.
        avoid: folders whose modules must not be taken even where the user's PYTHONPATH names them.
    """

    def __init__(
        self, module: str, *words: str, environment: Mapping[str, str] | None = None, avoid: Iterable[Path] = ()
    ) -> None:
        avoided = tuple(avoid)
        installed = json.dumps([*_installed(sys.path, avoided), *_home()])
        super().__init__(
            [sys.executable, "-P", "-c", _START, installed, module, *words],
            environment={**_safe_environment(avoided), **(environment or {})},
        )


def leave_working_folder() -> None:
    """Take the working folder off this process's own path, unless our package lies there; then it comes last."""
    here = Path.cwd()
    kept = [path for path in sys.path if not _is(path, here)]
    sys.path[:] = [*kept, *(path for path in _home() if _is(path, here))]


def _home() -> list[str]:
    """The folder that our package is imported from; none where an editable install finds it in other folders."""
    (first, *_) = sys.modules[_PACKAGE].__path__
    return [str(Path(first).parent)] if Path(first).name == _PACKAGE else []


def _safe_environment(avoided: Iterable[Path]) -> dict[str, str]:
    """This process's environment, for one that takes no module from the working folder and the folders `avoided`."""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    kept = [path for path in named if _is_safe(path, avoided)]
    others = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # its own processes, torch's compilers among them, are to be as careful
    return {**others, "PYTHONSAFEPATH": "1", **({"PYTHONPATH": os.pathsep.join(kept)} if kept else {})}


def _installed(paths: Iterable[object], avoided: Iterable[Path]) -> list[str]:
    """Those of `paths` that hold installed packages; `sys.path` may hold anything, and Python passes it by."""
    texts = [os.fspath(path) for path in paths if isinstance(path, (str, os.PathLike))]
    return [
        path
        for path in texts
        if isinstance(path, str) and _is_safe(path, avoided) and any(Path(path).glob("*.dist-info"))
    ]


def _is_safe(path: str, avoided: Iterable[Path]) -> bool:
    """Whether modules may be taken from `path`: it is absolute, not the working folder, and in none of `avoided`."""
    folders = (Path(path), *Path(path).parents)
    if not Path(path).is_absolute() or _is(path, Path.cwd()):
        return False
    return not any(_is(str(folder), other) for folder in folders for other in avoided)


def _is(path: object, folder: Path) -> bool:
    try:
        return isinstance(path, str) and Path(path or ".").samefile(folder)
    except (OSError, ValueError):
        return False
