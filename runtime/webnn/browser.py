"""The Chromium that judgements run in, unpacked once for each user."""

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
UNPACK = Path(__file__).parent / "web" / "unpack.mjs"


def unpacked_chromium() -> Path:
    """The executable of the npm package's Chromium, unpacked into the user's cache at the first call.

    It lies there whole or not at all: 220 MB, three seconds. Raises RequestError where Node or the package is
    missing, and where the cache cannot be written.
    """
    require_packages(PACKAGE, "onnxruntime-web", "playwright-core")
    version = json.loads((MODULES / PACKAGE / "package.json").read_text())["version"]
    home = _cache() / f"chromium-{version}"
    if not home.is_dir():
        try:
            _unpack(home)
        except (OSError, subprocess.CalledProcessError) as error:
            raise RequestError(f"cannot unpack Chromium: {error}", f"make room in {home.parent}") from error
    return home / "chromium"


def library_path(executable: Path) -> dict[str, str]:
    """What the environment lacks: the NSS that the package brings, on machines that have none."""
    return {} if ctypes.util.find_library("nss3") else {"LD_LIBRARY_PATH": str(executable.parent / "lib")}


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "turbo-webnn"


def _unpack(home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=home.name, dir=home.parent))
    try:
        subprocess.run(["node", str(UNPACK), str(made)], check=True, stdout=subprocess.DEVNULL)
        # libEGL, libGLESv2 and libvk_swiftshader have to lie beside the binary: without them the GPU process
        # dies, and createContext() says that WebNN is disabled "due to some unresolvable issues".
        for archive in (made / "swiftshader.tar", made / "al2023.tar"):
            with tarfile.open(archive) as members:
                members.extractall(made, filter="data")
            archive.unlink()
        (made / "chromium").chmod(0o755)
        made.chmod(0o755)
        if not home.is_dir():  # another process may have been faster
            made.rename(home)
    finally:
        shutil.rmtree(made, ignore_errors=True)
