"""Loading of one graph in onnxruntime, with checks against the manifest and of the provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from turbo_webnn.models.bundle import Bundle
from turbo_webnn.models.chain import Graph, Tensor
from turbo_webnn.models.errors import RequestError
from turbo_webnn.runtime.ort.fusing import fuse_file
from turbo_webnn.runtime.ort.provider import EXECUTION_PROVIDER, as_request_errors, first_line, not_started, onnxruntime
from turbo_webnn.runtime.ort.settings import Settings

ONNX_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int32)": "int32"} | {
    f"tensor({name})": name for name in ("int64", "bool", "uint8", "int8")
}
"""The numpy names of onnxruntime's types."""


def load(bundle: Bundle, graph: Graph, settings: Settings, *, bound: bool = False) -> Any:
    """Make the InferenceSession of `graph` in `bundle`.

    Args:
        bundle: the bundle that holds the graph.
        graph: the graph to load.
        settings: the provider and its options.
        bound: whether its inputs and outputs will be at fixed addresses (`runtime.tensors.bound`).

    Raises:
        RequestError: where the graph does not load, differs from the manifest, was replaced after the bundle was
            opened, or the provider does not start.
    """
    path = bundle.path(graph)
    with bundle.unchanged(graph.files):
        # Neither contains the weights: onnxruntime maps them from their own files without a copy.
        model = fuse_file(path) if settings.fuse else path
        session = start(model, settings, f"{path} does not load", bound=bound, weights=path.parent)
    _require_described(session.get_inputs(), graph.inputs, f"{path}: inputs")
    _require_described(session.get_outputs(), graph.outputs, f"{path}: outputs")
    return session


def start(model: Path | bytes, settings: Settings, wrong: str, *, bound: bool, weights: Path | None = None) -> Any:
    """Make an InferenceSession that uses only the provider in `settings`.

    Args:
        model: the path of a model, or the model itself as bytes.
        settings: the provider and its options.
        wrong: the beginning of the message where the session does not start.
        bound: whether its inputs and outputs are at fixed addresses.
        weights: the folder of the external data, for a model as bytes; a model at a path has them beside it.
    """
    options = settings.session_options()
    if weights is not None and isinstance(model, bytes):
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(weights))
    right = "try --provider-option enable_cuda_graph=0" if settings.captures(bound=bound) else "export the bundle anew"
    try:
        with as_request_errors(wrong, right):
            session = onnxruntime().InferenceSession(
                model,
                options,
                providers=settings.providers(bound=bound),
                enable_fallback=0,  # the fallback would print a message and continue without CUDA
            )
    except (RuntimeError, ValueError) as error:
        # an error of a provider or its options; errors of graphs have onnxruntime's own types
        raise not_started(settings.provider, first_line(error)) from error
    if session.get_providers()[0] != EXECUTION_PROVIDER[settings.provider]:  # onnxruntime only printed a warning
        raise not_started(settings.provider)
    return session


def _require_described(values: list[Any], described: tuple[Tensor, ...], where: str) -> None:
    actual = tuple(Tensor(item.name, ONNX_TYPES.get(item.type, item.type), tuple(item.shape)) for item in values)
    if actual != described:
        raise RequestError(f"{where} are not those of the manifest", "export the bundle anew")
