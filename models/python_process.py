"""Child processes that run a module of ours: they take modules from where libraries are installed.

`python -m` puts the working folder first on the module path. A file there can have the name of a library's module: a
user's `export.py`, or a checkpoint's `secrets.py`. These subprocesses start without the working folder, and use only
those folders of this process's path that hold installed packages.
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
"""Runs a module as `python -m` does; the added folders come last on the path, after the standard library."""


class PythonProcess(ChildProcess):
    """The module `module` of ours as a child process, run with the words `words`.

    Args:
        module: the name of the module.
        *words: its command-line arguments.
        environment: variables to set for it.
        avoid: folders from which no module may be imported, even where the user's PYTHONPATH names them.
    """

    def __init__(
        self, module: str, *words: str, environment: Mapping[str, str] | None = None, avoid: Iterable[Path] = ()
    ) -> None:
        avoided = tuple(avoid)
        installed = json.dumps([*_installed_folders(sys.path, avoided), *_package_parent()])
        super().__init__(
            [sys.executable, "-P", "-c", _START, installed, module, *words],
            environment={**_safe_environment(avoided), **(environment or {})},
        )


def leave_working_folder() -> None:
    """Remove the working folder from this process's module path; move it to the end where it holds this package."""
    working_folder = Path.cwd()
    remaining = [path for path in sys.path if not _is_folder(path, working_folder)]
    sys.path[:] = [*remaining, *(path for path in _package_parent() if _is_folder(path, working_folder))]


def _package_parent() -> list[str]:
    """The folder that contains this package; empty for an editable install in other folders."""
    (first, *_) = sys.modules[_PACKAGE].__path__
    return [str(Path(first).parent)] if Path(first).name == _PACKAGE else []


def _safe_environment(avoided: Iterable[Path]) -> dict[str, str]:
    """This process's environment, changed so that no module is imported from the working folder or from `avoided`."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    safe_entries = [path for path in entries if _is_safe(path, avoided)]
    other_variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # also for its own subprocesses, such as torch's compilers
    return {
        **other_variables,
        "PYTHONSAFEPATH": "1",
        **({"PYTHONPATH": os.pathsep.join(safe_entries)} if safe_entries else {}),
    }


def _installed_folders(paths: Iterable[object], avoided: Iterable[Path]) -> list[str]:
    """The folders in `paths` with installed packages; Python permits and ignores other values in `sys.path`."""
    texts = [os.fspath(path) for path in paths if isinstance(path, (str, os.PathLike))]
    return [
        path
        for path in texts
        if isinstance(path, str) and _is_safe(path, avoided) and any(Path(path).glob("*.dist-info"))
    ]


def _is_safe(path: str, avoided: Iterable[Path]) -> bool:
    """Whether `path` is safe for imports: absolute, not the working folder, and not inside a folder of `avoided`."""
    folders = (Path(path), *Path(path).parents)
    if not Path(path).is_absolute() or _is_folder(path, Path.cwd()):
        return False
    return not any(_is_folder(str(folder), other) for folder in folders for other in avoided)


def _is_folder(path: object, folder: Path) -> bool:
    try:
        return isinstance(path, str) and Path(path or ".").samefile(folder)
    except (OSError, ValueError):
        return False
