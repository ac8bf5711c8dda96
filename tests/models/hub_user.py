"""Someone who opens sources of a hub: each call is a process of its own, for settings are read at import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from turbo_webnn.models.source import Source

NAME = "someone/turbo"
UNET = "unet/diffusion_pytorch_model"
VAE = "vae/diffusion_pytorch_model"
TEXT = "text_encoder/model"
WEIGHTS = {f"{stem}.safetensors" for stem in (TEXT, UNET, VAE)}

DECOYS = (
    "turbo.safetensors",
    "turbo.ckpt",
    ".gitattributes",
    f"{UNET}.bin",
    f"{UNET}.bin.index.json",
    f"{UNET}.non_ema.safetensors",
    f"{UNET}-00001-of-00002.safetensors",
    "unet/openvino_model.bin",
    "unet/openvino_model.xml",
    "unet/model.onnx",
    f"{VAE}.msgpack",
    "text_encoder/pytorch_model.bin",
    "safety_checker/model.safetensors",
    "safety_checker/config.json",
)

CARD = b"---\nlicense: other\nlicense_name: community\n---\n# Turbo\n"

CALL = """
import json, sys, time
time.sleep = lambda seconds: None  # nobody waits between tries here
from turbo_webnn.models.errors import RequestError
from turbo_webnn.models.source import open_source
try:
    source = open_source(sys.argv[1], progress=False, **json.loads(sys.argv[2]))
    print(json.dumps({**source.provenance, "folder": str(source.folder)}))
except RequestError as error:
    print(json.dumps(str(error)))
"""


class User:
    """Someone with a cache and an environment of their own."""

    def __init__(self, endpoint: str, home: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("HF_", "HUGGING"))}
        self.environment = {
            **kept,
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def open(self, source: str = NAME, *, environment: dict[str, str] | None = None, **options: Any) -> Source:
        answer = self._call(source, environment or {}, options)
        assert isinstance(answer, dict), answer
        return Source(folder=Path(answer.pop("folder")), **answer)

    def provenance(self, source: str = NAME, **options: Any) -> dict[str, Any]:
        answer = self._call(source, {}, options)
        assert isinstance(answer, dict), answer
        return answer

    def refused(self, source: str = NAME, *, environment: dict[str, str] | None = None, **options: Any) -> str:
        answer = self._call(source, environment or {}, options)
        assert isinstance(answer, str), f"not refused: {answer}"
        assert "\n" not in answer
        return answer

    def _call(self, source: str, environment: dict[str, str], options: dict[str, Any]) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", CALL, source, json.dumps(options)],
            cwd=Path(__file__).parents[2],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


OFFLINE = {"HF_HUB_OFFLINE": "1"}


def weights(fetched: set[str]) -> set[str]:
    return {file for file in fetched if file.endswith(".safetensors")}
