"""Another exporter's graphs of the same components, at `FOLDER/COMPONENT/model.onnx`, run with the same settings.

optimum writes this layout. The shapes of the graphs may be dynamic; the example inputs have fixed shapes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.bench.example import InputSpecs, arrays
from turbo_webnn.runtime.bench.protocol import GraphsOptions
from turbo_webnn.runtime.bench.report import Memory
from turbo_webnn.runtime.bench.worker import peak_host_bytes
from turbo_webnn.runtime.ort.loading import ONNX_TYPES, start
from turbo_webnn.runtime.ort.provider import as_request_errors
from turbo_webnn.runtime.ort.settings import Settings


class GraphsSide:
    """Runs the graphs in `folder` for the components of `inputs`. Components without a graph are not timed."""

    def __init__(self, folder: Path, inputs: Mapping[str, InputSpecs], settings: Settings) -> None:
        self._settings = settings
        self._loaded: dict[str, tuple[Any, dict[str, Any]]] = {}
        paths = {name: folder / name / "model.onnx" for name in inputs}
        if not any(path.is_file() for path in paths.values()):
            raise RequestError(f"{folder} has no COMPONENT/model.onnx", f"components are {', '.join(inputs)}")
        self._paths = {name: path for name, path in paths.items() if path.is_file()}
        self._inputs = inputs

    def run(self, component: str) -> float | None:
        """Time one run with numpy arrays as inputs and outputs, the usual way to call onnxruntime."""
        if component not in self._paths:
            return None
        session, feeds = self._session(component)
        began = time.perf_counter()
        with as_request_errors(f"{self._paths[component]} does not run", "give graphs of the bundle's own checkpoint"):
            session.run(None, feeds)
        return time.perf_counter() - began

    def draw(self, _steps: int) -> None:
        """Return None: the graphs alone cannot draw."""
        return

    def memory(self) -> Memory:
        """The peak of host memory; the device's is not measured."""
        return Memory(peak_host_bytes(), None)

    def _session(self, component: str) -> tuple[Any, dict[str, Any]]:
        """The session of `component`, and its feeds in the types of the session's inputs. Loaded at the first call."""
        if component not in self._loaded:
            path = self._paths[component]
            session = start(path, self._settings, f"{path} does not load", bound=False)
            examples, inputs = arrays(self._inputs[component]), {item.name: item for item in session.get_inputs()}
            if inputs.keys() - examples.keys():
                raise RequestError(f"{path} asks for {', '.join(inputs)}", f"{component} is told {', '.join(examples)}")
            feeds = {name: examples[name].astype(ONNX_TYPES[item.type]) for name, item in inputs.items()}
            # optimum's UNet takes the timestep as a scalar
            feeds |= {name: feeds[name].reshape(()) for name, item in inputs.items() if item.shape == []}
            self._loaded[component] = session, feeds
        return self._loaded[component]


def side(options: GraphsOptions) -> GraphsSide:
    """Make the side for `options`."""
    return GraphsSide(options.folder, options.inputs, options.settings)
