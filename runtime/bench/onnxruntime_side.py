"""The bundle itself, run by a pipeline that keeps its sessions."""

from __future__ import annotations

import os
import subprocess
import time

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.runtime.bench.example import PROMPT, arrays, input_specs
from turbo_webnn.runtime.bench.protocol import OnnxruntimeOptions
from turbo_webnn.runtime.bench.report import Memory
from turbo_webnn.runtime.bench.worker import peak_host_bytes
from turbo_webnn.runtime.draw.engine import make_engine
from turbo_webnn.runtime.draw.pipeline import Pipeline
from turbo_webnn.runtime.ort.settings import Settings


class OnnxruntimeSide:
    """Runs `bundle` with `settings`. On CUDA, tensors stay on the device."""

    def __init__(self, bundle: Bundle, settings: Settings) -> None:
        self._settings = settings
        self._engine = make_engine(bundle, settings, keep_graphs=True)
        self._inputs = {name: arrays(input_specs(chain)) for name, chain in bundle.manifest.components.items()}
        self._pipeline: Pipeline | None = None

    def run(self, component: str) -> float:
        """Time one run, with the copy of the inputs from the host. On CUDA, the outputs stay on the device."""
        inputs = self._inputs[component]
        tensors = self._engine.tensors
        start_time = time.perf_counter()
        values = {name: tensors.write(array) for name, array in inputs.items()}
        self._engine.run(component, values)
        tensors.release(*values.values())
        return time.perf_counter() - start_time

    def draw(self, steps: int) -> float:
        """Time one drawing, from the prompt to pictures."""
        pipeline = self._pipeline = self._pipeline or Pipeline(self._engine)
        start_time = time.perf_counter()
        pipeline.generate(PROMPT, steps=steps)
        return time.perf_counter() - start_time

    def memory(self) -> Memory:
        """The peaks of memory. onnxruntime's arenas never shrink here, so their present size is the device's peak."""
        return Memory(peak_host_bytes(), _device_bytes() if self._settings.provider == "cuda" else None)


def side(options: OnnxruntimeOptions) -> OnnxruntimeSide:
    """Make the side for `options`."""
    return OnnxruntimeSide(Bundle.open(options.folder), options.settings)


def _device_bytes() -> int | None:
    """The device memory of this process; None where the driver does not report it, as in some containers."""
    query = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    try:
        output = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout
        mebibytes = dict(line.split(", ") for line in output.splitlines())
        return int(mebibytes[str(os.getpid())]) * 2**20
    except (OSError, subprocess.SubprocessError, KeyError, ValueError):
        return None
