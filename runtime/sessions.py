"""onnxruntime sessions over a bundle's components: one provider, no silent cast, no silent fall-back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.chain import Graph, Tensor
from models.errors import RequestError

Provider = Literal["cpu", "cuda"]

PROVIDERS: tuple[Provider, ...] = get_args(Provider)

Array = NDArray[Any]
"""An array whose type is data: what crosses a component's boundary."""

Watch = Callable[[Graph, Mapping[str, Array], Mapping[str, Array]], None]
"""Told of every run of a graph: the graph, its inputs and its outputs by name, as they cross its boundary."""

_EXECUTION_PROVIDER: dict[Provider, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

_PROVIDER_OPTIONS: dict[Provider, dict[str, str]] = {
    "cpu": {},
    # TF32 rounds float32 factors to 10 bits of mantissa: faster, and no parity with PyTorch's float32.
    "cuda": {"use_tf32": "0"},
}

_WHEELS = "pip install 'turbo-webnn[cuda]' in an environment without [cpu]: the two wheels exclude each other"

_ONNX_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int32)": "int32"} | {
    f"tensor({name})": name for name in ("int64", "bool", "uint8", "int8")
}


def choose_provider(wanted: Provider | None = None) -> Provider:
    """The provider to run on: `wanted`, or CUDA where onnxruntime has it, else the CPU.

    Raises:
        RequestError: where onnxruntime is not installed, or has no CUDA and CUDA is wanted.
    """
    if wanted is not None and wanted not in PROVIDERS:
        raise RequestError(f"there is no provider {wanted!r}", f"there are {', '.join(PROVIDERS)}")
    has_cuda = _EXECUTION_PROVIDER["cuda"] in _onnxruntime().get_available_providers()
    if wanted == "cuda" and not has_cuda:
        raise RequestError("this onnxruntime has no CUDA", _WHEELS)
    return wanted or ("cuda" if has_cuda else "cpu")


class Session:
    """One component, run graph by graph; each loads when it is first reached.

    Its inputs and outputs are those of the manifest, in name, type and shape.

    Attributes:
        load_seconds: spent so far on loading its graphs.

    Args:
        keep_graphs: whether all graphs of the chain stay loaded. Where they do not, each leaves memory before the
            next one comes, and the peak is near that of the largest.

    Raises:
        RequestError: where the bundle lacks the component.
    """

    def __init__(
        self,
        bundle: Bundle,
        component: str,
        *,
        provider: Provider = "cpu",
        threads: int | None = None,
        keep_graphs: bool = True,
    ) -> None:
        self.component = component
        self.chain = bundle.chain(component)
        self.load_seconds = 0.0
        self._load: Callable[[Graph], _LoadedGraph] = lambda graph: _LoadedGraph(
            bundle.path(graph), graph, provider, threads
        )
        self._loaded: dict[Graph, _LoadedGraph] = {}
        self._keep_graphs = keep_graphs

    def run(self, inputs: Mapping[str, Array], watch: Watch | None = None) -> dict[str, Array]:
        """The outputs by name, in the boundary's types.

        Raises:
            ValueError: where `inputs` are not exactly the manifest's; nothing is cast or broadcast.
            RequestError: where a graph does not load or is not the one that the manifest describes, CUDA is asked
                for and does not start, or onnxruntime fails, for want of memory above all.
        """
        _require_inputs(inputs, self.chain.inputs, self.component)
        values = dict(inputs)
        for graph in self.chain.graphs:
            feeds = {tensor.name: values[tensor.name] for tensor in graph.inputs}
            with _told(f"running {self.component} failed", "try --provider cpu, or a bundle of a smaller size"):
                outputs = self._graph(graph).run(feeds)  # held by no name: it is to leave before the next one comes
            if watch is not None:
                watch(graph, feeds, outputs)
            values |= outputs
        return {tensor.name: values[tensor.name] for tensor in self.chain.outputs}

    @np.errstate(over="ignore")  # what leaves float16's range becomes infinite, and is told by the pipeline
    def cast(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """`inputs` in the manifest's types: the one place where the host's float32 is narrowed."""
        dtypes = {tensor.name: tensor.dtype for tensor in self.chain.inputs}
        return {name: value.astype(dtypes.get(name, value.dtype), copy=False) for name, value in inputs.items()}

    def _graph(self, graph: Graph) -> _LoadedGraph:
        if graph not in self._loaded:
            if not self._keep_graphs:
                self._loaded.clear()
            began = time.perf_counter()
            self._loaded[graph] = self._load(graph)
            self.load_seconds += time.perf_counter() - began
        return self._loaded[graph]


class _LoadedGraph:
    """One graph in onnxruntime, proven to be the one that the manifest describes."""

    def __init__(self, path: Path, graph: Graph, provider: Provider, threads: int | None) -> None:
        self._graph = graph
        with _told(f"{path} does not load", "export the bundle anew"):
            # From a path, not from bytes: onnxruntime then maps external data instead of copying it.
            self._session = _onnxruntime().InferenceSession(
                path,
                _session_options(threads),
                providers=[(_EXECUTION_PROVIDER[provider], _PROVIDER_OPTIONS[provider])],
            )
        _require_provider(self._session, provider)
        _require_described(self._session.get_inputs(), graph.inputs, f"{path}: inputs")
        _require_described(self._session.get_outputs(), graph.outputs, f"{path}: outputs")

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        outputs = self._session.run(None, dict(feeds))
        return {tensor.name: output for tensor, output in zip(self._graph.outputs, outputs, strict=True)}


def _session_options(threads: int | None) -> Any:
    options = _onnxruntime().SessionOptions()
    # products by quantised weights in float32: by default onnxruntime rounds the other factor to 8 bits too
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    options.log_severity_level = 3  # errors: they come back as exceptions, warnings are no user's business
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def _require_provider(session: Any, provider: Provider) -> None:
    """onnxruntime falls back to the CPU with no more than a warning where CUDA or cuDNN do not load."""
    if session.get_providers()[0] != _EXECUTION_PROVIDER[provider]:
        raise RequestError(
            f"onnxruntime could not start {provider}",
            "it found no fitting CUDA, cuDNN or driver: pip install 'onnxruntime-gpu[cuda,cudnn]'",
        )


def _require_described(found: list[Any], described: tuple[Tensor, ...], where: str) -> None:
    real = tuple(Tensor(item.name, _ONNX_TYPES.get(item.type, item.type), tuple(item.shape)) for item in found)
    if real != described:
        raise RequestError(f"{where} are not those of the manifest", "export the bundle anew")


def _require_inputs(inputs: Mapping[str, Array], described: tuple[Tensor, ...], component: str) -> None:
    if inputs.keys() != {tensor.name for tensor in described}:
        raise ValueError(f"{component} takes {[tensor.name for tensor in described]}, not {list(inputs)}")
    for tensor in described:
        value = inputs[tensor.name]
        if value.dtype != tensor.dtype or value.shape != tensor.shape:
            raise ValueError(
                f"{component}: {tensor.name} must be {tensor.dtype} {list(tensor.shape)}, "
                f"not {value.dtype} {list(value.shape)}"
            )


@contextmanager
def _told(wrong: str, right: str) -> Iterator[None]:
    """Turn onnxruntime's errors, which share a module but no base class, into one line each."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("onnxruntime."):
            raise
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise RequestError(f"{wrong} ({first})", right) from error


@cache
def _onnxruntime() -> Any:
    """onnxruntime, imported when first needed: nothing else of the runtime asks for it."""
    try:
        import onnxruntime
    except ImportError as error:
        right = "pip install 'turbo-webnn[cpu]', or 'turbo-webnn[cuda]' for a GPU"
        raise RequestError("onnxruntime is not installed", right) from error
    has_cuda = _EXECUTION_PROVIDER["cuda"] in onnxruntime.get_available_providers()
    if has_cuda and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # CUDA and cuDNN from their wheels, where those are installed
    return onnxruntime
