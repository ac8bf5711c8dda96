"""The bundle itself, as a pipeline that keeps its sessions."""

from __future__ import annotations

import os
import subprocess
import time

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.runtime.bench.example import PROMPT, arrays, described
from turbo_webnn.runtime.bench.protocol import OnnxruntimeOptions
from turbo_webnn.runtime.bench.report import Memory
from turbo_webnn.runtime.bench.worker import peak_host_bytes
from turbo_webnn.runtime.draw.engine import make_engine
from turbo_webnn.runtime.draw.pipeline import Pipeline
from turbo_webnn.runtime.ort.settings import Settings


class OnnxruntimeSide:
    """`bundle`, on the device where `settings` say CUDA."""

    def __init__(self, bundle: Bundle, settings: Settings) -> None:
        self._settings = settings
        self._engine = make_engine(bundle, settings, keep_graphs=True)
        self._inputs = {name: arrays(described(chain)) for name, chain in bundle.manifest.components.items()}
        self._pipeline: Pipeline | None = None

    def run(self, component: str) -> float:
        """Inputs come from the host, as outputs on the CPU go there; on CUDA they stay."""
        inputs = self._inputs[component]
        tensors = self._engine.tensors
        began = time.perf_counter()
        values = {name: tensors.write(array) for name, array in inputs.items()}
        self._engine.run(component, values)
        tensors.release(*values.values())
        return time.perf_counter() - began

    def draw(self, steps: int) -> float:
        """From the prompt to pictures."""
        pipeline = self._pipeline = self._pipeline or Pipeline(self._engine)
        began = time.perf_counter()
        pipeline.generate(PROMPT, steps=steps)
        return time.perf_counter() - began

    def memory(self) -> Memory:
        """The arenas never shrink here, so the device's peak is what they hold."""
        return Memory(peak_host_bytes(), _device_bytes() if self._settings.provider == "cuda" else None)


def side(options: OnnxruntimeOptions) -> OnnxruntimeSide:
    """The bundle that `options` name."""
    return OnnxruntimeSide(Bundle.open(options.folder), options.settings)


def _device_bytes() -> int | None:
    """What the driver says that this process holds; None where it does not tell, as in some containers."""
    query = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout
        held = dict(line.split(", ") for line in told.splitlines())
        return int(held[str(os.getpid())]) * 2**20
    except (OSError, subprocess.SubprocessError, KeyError, ValueError):
        return None
