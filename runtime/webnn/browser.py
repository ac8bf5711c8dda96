"""The Chromium of the checks, unpacked once per user."""

from __future__ import annotations

import ctypes.util
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.webnn.node import MODULES, require_packages

PACKAGE = "@sparticuz/chromium"
UNPACK_SCRIPT = Path(__file__).parent / "web" / "unpack.mjs"


def unpacked_chromium() -> Path:
    """Unpack the npm package's Chromium into the user's cache at the first call.

    It needs 220 MB and three seconds. An interrupted call leaves no incomplete Chromium.

    Returns:
        The path of the executable.

    Raises:
        RequestError: where Node or the package is missing, or the cache cannot be written.
    """
    require_packages(PACKAGE, "onnxruntime-web", "playwright-core")
    version = json.loads((MODULES / PACKAGE / "package.json").read_text())["version"]
    folder = _cache() / f"chromium-{version}"
    if not folder.is_dir():
        try:
            _unpack(folder)
        except (OSError, subprocess.CalledProcessError) as error:
            raise RequestError(f"cannot unpack Chromium: {error}", f"make room in {folder.parent}") from error
    return folder / "chromium"


def library_path(executable: Path) -> dict[str, str]:
    """Environment variables that make the package's NSS available, on machines without NSS."""
    return {} if ctypes.util.find_library("nss3") else {"LD_LIBRARY_PATH": str(executable.parent / "lib")}


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "turbo-webnn"


def _unpack(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=folder.name, dir=folder.parent))
    try:
        subprocess.run(["node", str(UNPACK_SCRIPT), str(temporary)], check=True, stdout=subprocess.DEVNULL)
        # libEGL, libGLESv2 and libvk_swiftshader must be in the folder of the binary. Without them the GPU process
        # exits, and createContext() reports that WebNN is disabled "due to some unresolvable issues".
        for archive in (temporary / "swiftshader.tar", temporary / "al2023.tar"):
            with tarfile.open(archive) as members:
                members.extractall(temporary, filter="data")
            archive.unlink()
        (temporary / "chromium").chmod(0o755)
        temporary.chmod(0o755)
        if not folder.is_dir():  # another process may have unpacked it in the meantime
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
