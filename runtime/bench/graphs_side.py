"""Another exporter's graphs of the same components, run with the same settings: `FOLDER/COMPONENT/model.onnx`.

That is how optimum lays them out. Their shapes may be open: the example's are given.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.bench.example import Described, arrays
from turbo_webnn.runtime.bench.protocol import GraphsOptions
from turbo_webnn.runtime.bench.report import Memory
from turbo_webnn.runtime.bench.worker import peak_host_bytes
from turbo_webnn.runtime.ort.loading import ONNX_TYPES, start
from turbo_webnn.runtime.ort.provider import as_request_errors
from turbo_webnn.runtime.ort.settings import Settings


class GraphsSide:
    """The graphs under `folder` for the components of `inputs`; those that it lacks are not timed."""

    def __init__(self, folder: Path, inputs: Mapping[str, Described], settings: Settings) -> None:
        self._settings = settings
        self._loaded: dict[str, tuple[Any, dict[str, Any]]] = {}
        paths = {name: folder / name / "model.onnx" for name in inputs}
        if not any(path.is_file() for path in paths.values()):
            raise RequestError(f"{folder} has no COMPONENT/model.onnx", f"components are {', '.join(inputs)}")
        self._paths = {name: path for name, path in paths.items() if path.is_file()}
        self._inputs = inputs

    def run(self, component: str) -> float | None:
        """As onnxruntime is mostly used: arrays in, arrays out."""
        if component not in self._paths:
            return None
        session, feeds = self._session(component)
        began = time.perf_counter()
        with as_request_errors(f"{self._paths[component]} does not run", "give graphs of the bundle's own checkpoint"):
            session.run(None, feeds)
        return time.perf_counter() - began

    def draw(self, _steps: int) -> None:
        """Graphs alone do not draw."""
        return

    def memory(self) -> Memory:
        """The host's alone."""
        return Memory(peak_host_bytes(), None)

    def _session(self, component: str) -> tuple[Any, dict[str, Any]]:
        """Loaded when first asked for, and its inputs in its own names' types."""
        if component not in self._loaded:
            path = self._paths[component]
            session = start(path, self._settings, f"{path} does not load", bound=False)
            made, taken = arrays(self._inputs[component]), {item.name: item for item in session.get_inputs()}
            if taken.keys() - made.keys():
                raise RequestError(f"{path} asks for {', '.join(taken)}", f"{component} is told {', '.join(made)}")
            feeds = {name: made[name].astype(ONNX_TYPES[item.type]) for name, item in taken.items()}
            # optimum's UNet takes its one timestep as a scalar
            feeds |= {name: feeds[name].reshape(()) for name, item in taken.items() if item.shape == []}
            self._loaded[component] = session, feeds
        return self._loaded[component]


def side(options: GraphsOptions) -> GraphsSide:
    """The graphs that `options` name."""
    return GraphsSide(options.folder, options.inputs, options.settings)
